/* Twin of `plans/context/channels.py`: channels one after the other, each predicted by a weighted sum of those known. */

#define MIXED 1024      /* values summed together */
#define SQUARE 0.000244140625
#define SILENT 32       /* level where errors of other channels are not looked at */
#define LOUD 16
#define TOP 4503599627370496.0

static void SET(add_moved)(double *total, const double *from, double weight, int64_t inner, int64_t block, int on, int64_t first,
                           int64_t last) {
    /* Add the values a step back or on along an axis; what lies beyond an edge is the value at the edge. */
    for (int64_t start = first - first % block; start < last; start += block) {
        int64_t low = most(first, start), high = least(last, start + block);
        int64_t middle = least(high, most(low, on ? start + block - inner : start + inner));
        const double *before = from + (on ? inner : 0), *after = from - (on ? 0 : inner);
        for (int64_t i = low; i < middle; i++) total[i - first] += weight * before[i];
        for (int64_t i = middle; i < high; i++) total[i - first] += weight * after[i];
    }
}

static void SET(add_term)(const Mixed *m, int64_t term, int64_t first, int64_t last, double *RESTRICT total) {
    const double *from = m->known + m->sources[term] * m->slab;
    double weight = m->weights[term];
    int64_t place = m->places[term], axis = (place - 1) / 2, inner = 1;
    if (m->others[term] >= 0) { /* a product, always at the same place */
        const double *other = m->known + m->others[term] * m->slab;
        for (int64_t i = first; i < last; i++) total[i - first] += weight * ((from[i] * other[i]) * SQUARE);
    } else if (place) {
        for (int64_t k = axis + 1; k < m->axes; k++) inner *= m->lengths[k];
        SET(add_moved)(total, from, weight, inner, inner * m->lengths[axis], (int)((place - 1) % 2), first, last);
    } else {
        for (int64_t i = first; i < last; i++) total[i - first] += weight * from[i];
    }
}

static void SET(mixed)(const Mixed *m, int64_t channel) {
    /* Predict a channel. */
    double total[MIXED];
    for (int64_t first = 0; first < m->slab; first += MIXED) {
        int64_t last = least(first + MIXED, m->slab);
        for (int64_t i = 0; i < last - first; i++) total[i] = (double)m->constants[channel];
        for (int64_t term = m->starts[channel]; term < m->starts[channel + 1]; term++) SET(add_term)(m, term, first, last, total);
        for (int64_t i = 0; i < last - first; i++) {
            double x = total[i] > -TOP ? total[i] : -TOP;
            m->mean[first + i] = (int64_t)rint(x < TOP ? x : TOP);
        }
    }
}

static void SET(heard)(const Mixed *m, const float *errors, int64_t channel) {
    /* Tell the level of a channel's errors from those of channels that it is predicted from. */
    const int64_t *of = m->heard + 2 * channel;
    if (!m->has_levels || of[0] < 0) {
        memset(m->level, m->has_levels ? LOUD : SILENT, (size_t)m->slab);
        return;
    }
    const float *one = errors + of[0] * m->slab, *other = errors + of[1] * m->slab;
    for (int64_t i = 0; i < m->slab; i++) m->level[i] = m->levels[(int64_t)(one[i] + other[i])];
}

static int64_t SET(any_channels)(int64_t types, const Net *net, Coder *coder, int decoding, const Chunk *chunk, const Mixed *m,
                                 const void *parts, int64_t count, int64_t longest, const Run *buffers, int64_t threads) {
    /* Decode or encode a chunk (channels, slab); tell whether the stream held it. Without a count of passes, `parts` is a wave. */
    int64_t good = 1;
    for (int64_t at = 0; good == 1 && at < m->count; at++) {
        int64_t start = at * m->slab;
        Chunk one = *chunk;
        Run run = run_at(buffers, decoding ? 0 : start);
        SET(mixed)(m, at);
        SET(heard)(m, chunk->errors, at);
        memset(one.context, 0, (size_t)m->slab * (types == 2 ? sizeof(double) : sizeof(float)));
        one.errors += start, one.value += start, one.kept += start;
        one.base = m->mean, one.base_count = m->slab;
        if (!decoding && one.whole) one.integers += start;
        if (!decoding && !one.whole) one.target += start;
        good = count ? SET(any_bisect)(types, net, coder, decoding, &one, m->level, parts, count, longest, &run, threads)
                     : SET(any_scan)(types, net, coder, decoding, &one, parts, m->level, &run, threads);
        double *known = m->known + m->before * m->slab + start;
        for (int64_t i = 0; i < m->slab; i++) known[i] = (double)one.value[i];
    }
    return good;
}

#undef MIXED
#undef SQUARE
#undef SILENT
#undef LOUD
#undef TOP
