/* Twins of `plans/columns/recency.py` and `lag.py`: values as ranks in a list of those seen last, and back; the cheapest lags. */

static inline void to_front(int64_t *known, int64_t last, int64_t value) {
    for (int64_t place = last; place > 0; place--) known[place] = known[place - 1];
    known[0] = value;
}

API int64_t aezip_ranks_of(const int64_t *values, int64_t length, int64_t lanes, int64_t *recent, int64_t places, uint8_t *ranks,
                        int64_t *away) {
    /* Fill ranks and distances (length, lanes) of values; `recent` (lanes, places) holds the values seen last. */
    for (int64_t i = 0; i < length * lanes; i++) {
        int64_t value = values[i], *known = recent + i % lanes * places, rank = 0;
        while (rank < places && known[rank] != value) rank++;
        ranks[i] = (uint8_t)rank;
        away[i] = (int64_t)((uint64_t)value - (uint64_t)known[0]);
        to_front(known, least(rank, places - 1), value);
    }
    return 0;
}

API int64_t aezip_values_of(const uint8_t *ranks, const int64_t *away, int64_t length, int64_t lanes, int64_t *recent, int64_t places,
                         int64_t *values) {
    /* Fill values (length, lanes) of ranks and distances: the inverse of `ranks_of`; ranks are at most `places`. */
    for (int64_t i = 0; i < length * lanes; i++) {
        int64_t rank = ranks[i], *known = recent + i % lanes * places;
        int64_t value = rank < places ? known[rank] : (int64_t)((uint64_t)known[0] + (uint64_t)away[i]);
        values[i] = value;
        to_front(known, least(rank, places - 1), value);
    }
    return 0;
}

API int64_t aezip_ranks_read(Coder *coder, int64_t table, int64_t count, int64_t length, int64_t lanes, int64_t order, uint8_t *work,
                             int64_t *ranks) {
    /* Fill ranks (length, lanes), zeros before, of a column of `count` values, in tables from `table` on that the ranks before
     * choose; `work` has room for three bytes a lane. Return 1, or 0 if the stream ended too early. */
    static const int64_t states[4] = {3, 3, 2, 2};
    Coder own = *coder;
    own.lookup += table << 12, own.certain += table;
    uint8_t *context = work, *symbol = work + lanes, *wanted = work + 2 * lanes;
    for (int64_t lane = 0; lane < lanes; lane++) wanted[lane] = 1;
    for (int64_t step = 0; step < length; step++) {
        int64_t some = least(lanes, (count - step + length - 1) / length), *row = ranks + step * lanes;
        for (int64_t lane = 0; lane < some; lane++) {
            int64_t which = 0;
            for (int64_t back = least(order, step) - 1; back >= 0; back--) {
                int64_t before = row[lane - (back + 1) * lanes], top = states[back] - 1;
                which = which * states[back] + (before < 0 ? 0 : least(before, top));
            }
            context[lane] = (uint8_t)which;
        }
        if (!symbols(&own, context, wanted, some, symbol) || !residuals(&own, symbol, symbol, 0, wanted, some, row)) return 0;
        for (int64_t lane = 0; lane < some; lane++) row[lane] = (int64_t)((uint64_t)row[lane] << 1) ^ (row[lane] >> 63);
    }
    return 1;
}

static inline int64_t exponent_of(int64_t value) {
    /* As frexp of the nearest double has it. */
    double number = (double)value;
    uint64_t bits;
    memcpy(&bits, &number, 8);
    return value ? (int64_t)(bits >> 52 & 0x7ff) - 1022 : 0;
}

API int64_t aezip_lags_of(const int64_t *k, int64_t count, int64_t reach, const double *price_lag, const double *price_size,
                          int64_t *lag) {
    /* Fill the lag of each value, up to `reach`, whose price and whose distance's are least together; the first of equals. */
    for (int64_t i = 1; i < count; i++) {
        double best = INFINITY;
        int64_t found = 1;
        for (int64_t tried = 1; tried <= least(reach, i); tried++) {
            double price = price_size[exponent_of((int64_t)((uint64_t)k[i] - (uint64_t)k[i - tried]))] + price_lag[tried];
            if (price < best) best = price, found = tried;
        }
        lag[i] = found;
    }
    return 0;
}
