/* Twin of `plans/columns/recency.py`: values as ranks in a list of those seen last, and back. */

static inline void to_front(int64_t *known, int64_t last, int64_t value) {
    for (int64_t place = last; place > 0; place--) known[place] = known[place - 1];
    known[0] = value;
}

API void aezip_ranks_of(const int64_t *values, int64_t length, int64_t lanes, int64_t *recent, int64_t places, uint8_t *ranks,
                        int64_t *away) {
    /* Fill ranks and distances (length, lanes) of values; `recent` (lanes, places) holds the values seen last. */
    for (int64_t i = 0; i < length * lanes; i++) {
        int64_t value = values[i], *known = recent + i % lanes * places, rank = 0;
        while (rank < places && known[rank] != value) rank++;
        ranks[i] = (uint8_t)rank;
        away[i] = (int64_t)((uint64_t)value - (uint64_t)known[0]);
        to_front(known, least(rank, places - 1), value);
    }
}

API void aezip_values_of(const uint8_t *ranks, const int64_t *away, int64_t length, int64_t lanes, int64_t *recent, int64_t places,
                         int64_t *values) {
    /* Fill values (length, lanes) of ranks and distances: the inverse of `ranks_of`; ranks are at most `places`. */
    for (int64_t i = 0; i < length * lanes; i++) {
        int64_t rank = ranks[i], *known = recent + i % lanes * places;
        int64_t value = rank < places ? known[rank] : (int64_t)((uint64_t)known[0] + (uint64_t)away[i]);
        values[i] = value;
        to_front(known, least(rank, places - 1), value);
    }
}

API void aezip_counting_sort(const int32_t *key, int64_t count, int64_t *starts, int32_t *out) {
    /* Fill out with the places of values in the order of their keys, equal ones as they stand; `starts`: of each key, used up. */
    for (int64_t i = 0; i < count; i++) out[starts[key[i]]++] = (int32_t)i;
}

API void aezip_lines(const int64_t *slots, int64_t slot_words, const int64_t *active, int64_t active_count, const int64_t *axes,
                     int64_t many, int64_t *out) {
    /* Twin of `bisection`: fill out (active + 1, counts of all axes) for active slots, then for the targets, with the parts of
     * the places along each axis, one axis after the other. A slot is its offset along each axis, group, axis of the further
     * step or -1, that step; an axis is group, root, stride, parity, first, step, count, length. */
    for (int64_t a = 0; a <= active_count; a++) {
        for (int64_t axis = 0; axis < many; axis++) {
            const int64_t *x = axes + 8 * axis, *slot = slots + (a < active_count ? active[a] : 0) * slot_words;
            int64_t group = x[0], root = x[1], stride = x[2], parity = x[3], first = x[4], step = x[5], count = x[6], length = x[7];
            int64_t scale = 1;
            for (int64_t later = axis + 1; later < many; later++) scale *= axes[8 * later + 7];
            int own = a < active_count && group == slot[many];
            int inner = a < active_count && slot[many + 1] >= 0 && group > slot[many] && !root;
            int64_t side = slot[many + 1] == axis ? slot[many + 2] : 0;
            int64_t there = own ? (((parity + slot[axis]) % 2) + 2) % 2 : 0;
            for (int64_t j = 0; j < count; j++) {
                int64_t place = first + step * j;
                if (own) { /* points of one parity */
                    int64_t last = (length - there * stride - 1) / (2 * stride), half = parity + slot[axis] - there;
                    place = there * stride + 2 * stride * least(most(half / 2 + j, 0), last);
                } else if (inner) { /* all points of a later group's stride */
                    place = stride * least(most(parity + side + 2 * j, 0), (length - 1) / stride);
                }
                *out++ = place * scale;
            }
        }
    }
}
