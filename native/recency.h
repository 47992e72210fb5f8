/* Twin of `plans/columns/recency.py`: values as ranks in a list of those seen last, and back. */

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
