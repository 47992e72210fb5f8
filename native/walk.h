/* Twin of what `plans/context/walk.py` does with a run of values, whatever the order and the type of contexts. */

static void tables(const uint8_t *level, const int64_t *total, int whole, int64_t count, uint8_t *out) {
    /* Fill out with the tables of values; see `residual.contexts`. */
    for (int64_t i = 0; i < count; i++) {
        int64_t table = level[i];
        if (table >= 28) table = 24 + (table - 28) % 4;
        if (whole) {
            int64_t fraction = total[i] - (((total[i] + 32) >> 6) * 64), part = ((fraction + 32) * 5) / 65;
            table = table < 22 ? table * 5 + part : table + 88;
        }
        out[i] = (uint8_t)table;
    }
}

static int decoded(Coder *coder, const Chunk *chunk, const Run *run, int64_t count) {
    /* Decode the residuals of a run; tell whether the stream held them. */
    memset(run->q, 0, sizeof(int64_t) * (size_t)count);
    if (chunk->has_spike) {
        for (int64_t i = 0; i < count; i++) run->table[i] = (uint8_t)(116 + run->flag[i]);
        if (!symbols(coder, run->table, run->keep, count, run->symbol)) return 0;
        if (!residuals(coder, run->symbol, run->level, 0, run->keep, count, run->q)) return 0;
        for (int64_t i = 0; i < count; i++)
            if (run->keep[i] && run->q[i]) {
                run->keep[i] = 0;
                run->q[i] = chunk->spike - ((run->total[i] + 32) >> 6);
            }
    }
    tables(run->level, run->total, (int)chunk->whole, count, run->table);
    return symbols(coder, run->table, run->keep, count, run->symbol) &&
           residuals(coder, run->symbol, run->level, 1, run->keep, count, run->q);
}

static void coded(const Chunk *chunk, int64_t first, const int32_t *index, const Run *run, int64_t count) {
    /* Take the residuals of a run from what is encoded: values in steps, or whole numbers. `keep` becomes 2 for values that are the
     * spike. */
    tables(run->level, run->total, (int)chunk->whole, count, run->table);
    const double most_ = 4503599627370496.0; /* 2**52 */
    for (int64_t i = 0; i < count; i++) {
        int64_t place = first + index[i];
        if (!run->keep[i]) {
            run->q[i] = 0;
        } else if (chunk->whole) {
            int64_t k = chunk->integers[place];
            run->q[i] = k - ((run->total[i] + 32) >> 6);
            if (chunk->has_spike && k == chunk->spike) run->keep[i] = 2;
        } else {
            double product = (double)run->total[i] * 0.015625, x = rint(chunk->target[place] - product);
            x = x > -most_ ? x : -most_;
            run->q[i] = (int64_t)(x < most_ ? x : most_);
        }
    }
}
