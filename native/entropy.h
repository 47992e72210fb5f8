/* Twins of `entropy/ans.py` and `entropy/residual.py`: the lanes of the entropy coder, symbols and residuals of a run. */

API int64_t aezip_ans_run(uint32_t *states, int64_t lanes, const uint32_t *lookup, const uint32_t *offsets, int64_t count,
                          const uint16_t *words, int64_t end, int64_t at, uint8_t *out) {
    /* Decode symbols of lanes that advance together; return the next word's place, or -1 if the words ran out. */
    for (int64_t first = 0; first < count; first += lanes) {
        int64_t some = least(lanes, count - first);
        for (int64_t lane = 0; lane < some; lane++) {
            uint32_t state = states[lane], slot = state & 4095u, word = lookup[offsets[first + lane] | slot];
            out[first + lane] = (uint8_t)word;
            state = ((word >> 20) + 1u) * (state >> 12) + slot - ((word >> 8) & 4095u);
            if (state < 65536u) {
                if (at >= end) return -1;
                state = (state << 16) | words[at++];
            }
            states[lane] = state;
        }
    }
    return at;
}

API int64_t aezip_ans_push(uint64_t *states, int64_t lanes, const uint16_t *frequency, const uint16_t *start, const int64_t *ends,
                           int64_t passes, uint16_t *out) {
    /* Encode passes backwards, which end at `ends`; return how many words were written to the end of `out`, in reading order. */
    int64_t count = passes ? ends[passes - 1] : 0, at = count;
    for (int64_t pass = passes - 1; pass >= 0; pass--) {
        int64_t begin = pass ? ends[pass - 1] : 0, end = ends[pass];
        for (int64_t first = begin + (end - begin - 1) / lanes * lanes; first >= begin; first -= lanes) {
            for (int64_t lane = least(lanes, end - first) - 1; lane >= 0; lane--) {
                uint64_t f = frequency[first + lane], state = states[lane];
                if (state >= f << 20) {
                    out[--at] = (uint16_t)state;
                    state >>= 16;
                }
                /* states stay below 2**32: the shorter division is much faster */
                uint32_t by = f ? (uint32_t)f : 1u, over = (uint32_t)state / by, rest = (uint32_t)state % by;
                states[lane] = ((uint64_t)over << 12) + rest + start[first + lane];
            }
        }
    }
    return count - at;
}

static int tail(Coder *c) {
    /* Go over to the tail, as `ans.Decoder._switch` does; tell whether its states are there. */
    int64_t *cursor = c->cursor, lanes = cursor[LANES], tail = cursor[TAIL], at = cursor[WORD] - lanes;
    if (at < 0) return 0;
    for (int64_t lane = 0; lane < lanes; lane++) c->words[at + lane] = (uint16_t)c->states[lane];
    int64_t nibbles = at + tail, bits = nibbles + (tail + 3) / 4, used = 0, place = 0;
    if (bits > c->word_count) return 0;
    for (int64_t lane = 0; lane < tail; lane++) used += (c->words[nibbles + lane / 4] >> (4 * (lane % 4))) & 15;
    int64_t end = bits + (used + 15) / 16;
    if (end > c->word_count) return 0;
    for (int64_t lane = 0; lane < tail; lane++) {
        int64_t length = (c->words[nibbles + lane / 4] >> (4 * (lane % 4))) & 15;
        uint32_t high = 1;
        for (int64_t i = 0; i < length; i++, place++) { /* the most significant bit of each byte first, the low byte of a word first */
            uint32_t byte = (uint32_t)c->words[bits + place / 16] >> (8 * (place % 16 / 8));
            high = (high << 1) | ((byte >> (7 - place % 8)) & 1u);
        }
        c->states[lane] = (high << 16) | c->words[at + lane];
    }
    cursor[WORD] = end, cursor[LANES] = tail, cursor[TAIL] = 0, cursor[LEFT] = INT64_C(1) << 62;
    return 1;
}

static int symbols(Coder *c, const uint8_t *contexts, const uint8_t *wanted, int64_t count, uint8_t *out) {
    /* Decode the symbols of a pass, of the values wanted; tell whether there were enough words. */
    int64_t at = c->cursor[WORD], lanes = c->cursor[LANES], left = c->cursor[LEFT], lane = 0;
    const uint32_t *lookup = c->lookup;
    const uint16_t *words = c->words;
    uint32_t *states = c->states;
    for (int64_t i = 0; i < count; i++) {
        if (!wanted[i]) continue;
        uint32_t context = contexts[i];
        if (c->certain[context] >= 0) {
            out[i] = (uint8_t)c->certain[context];
            continue;
        }
        if (left == 0) {
            c->cursor[WORD] = at;
            if (!tail(c)) return 0;
            at = c->cursor[WORD], lanes = c->cursor[LANES], left = c->cursor[LEFT], lane = 0;
        }
        if (lanes == 0) return 0;
        uint32_t state = states[lane], slot = state & 4095u, word = lookup[(context << 12) | slot];
        out[i] = (uint8_t)word;
        state = ((word >> 20) + 1u) * (state >> 12) + slot - ((word >> 8) & 4095u);
        if (state < 65536u) {
            if (at >= c->word_count) return 0;
            state = (state << 16) | words[at++];
        }
        states[lane] = state;
        left--;
        if (++lane == lanes) lane = 0;
    }
    c->cursor[WORD] = at, c->cursor[LEFT] = left;
    return 1;
}

static int residuals(Coder *c, const uint8_t *symbol, const uint8_t *level, int has_low, const uint8_t *wanted, int64_t count,
                     int64_t *out) {
    /* Fill out with the residuals of the values wanted, whose symbols are decoded; tell whether all parts were there.
     * Without `has_low` all levels are taken for 0. */
    int64_t *cursor = c->cursor;
    for (int64_t i = 0; i < count; i++) {
        if (!wanted[i]) continue;
        int64_t high = (int64_t)(symbol[i] >> 1) ^ -(int64_t)(symbol[i] & 1);
        if (symbol[i] == 255) {
            if (cursor[ESCAPES] >= c->escape_count) return 0;
            high = c->escapes[cursor[ESCAPES]++];
        }
        if (has_low && level[i] >= 28) {
            int64_t shift = ((int64_t)level[i] - 28) / 4 + 1, at = cursor[LOW + shift];
            if (at >= c->low_end[shift]) return 0;
            cursor[LOW + shift]++;
            high = (int64_t)((uint64_t)high << shift) - ((INT64_C(1) << shift) >> 1) + c->low[at];
        }
        out[i] = high;
    }
    return 1;
}
