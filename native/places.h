/* Twins of what `plans/context/raster.py` and `bisection.py` say of places in a chunk: their order, and where neighbours are. */

API int64_t aezip_counting_sort(const int32_t *key, int64_t count, int64_t *starts, int32_t *out) {
    /* Fill out with the places of values in the order of their keys, equal ones as they stand; `starts`: of each key, used up. */
    for (int64_t i = 0; i < count; i++) out[starts[key[i]]++] = (int32_t)i;
    return 0;
}

API int64_t aezip_lines(const int64_t *slots, int64_t slot_words, const int64_t *active, int64_t active_count, const int64_t *axes,
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
    return 0;
}
