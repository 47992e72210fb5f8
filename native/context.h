/* Twins of `plans/context`: net, walk, bisection, raster, signal; for one instruction set (SET), and one type of contexts (C) and of
 * sums of linear parts (S). */

typedef struct {
    C *fine;         /* (slots, BLOCK): neighbours, then what they are normalized to */
    float *near;     /* (2, BLOCK): sums of errors, plus 1 */
    float *level;    /* (BLOCK): the autoencoder's */
    float *values;   /* (inputs, BLOCK) */
    float *one, *both, *last; /* hidden units; with extras; last layers */
    void *all;
} NAME(Work);

static int NAME(workspace)(const Net *net, NAME(Work) *work) {
    /* Make room for a network; tell whether there was. */
    int64_t rows = 3 + net->inputs + net->hidden + net->hidden + EXTRAS + net->end_count;
    size_t bytes = sizeof(C) * BLOCK * (size_t)net->slots + sizeof(float) * BLOCK * (size_t)rows;
    char *all = calloc(1, bytes + 64);
    if (!all) return 0;
    char *at = (char *)(((uintptr_t)all + 63) & ~(uintptr_t)63);
    work->all = all;
    work->fine = (C *)at;
    work->near = (float *)(at + sizeof(C) * BLOCK * (size_t)net->slots);
    work->level = work->near + 2 * BLOCK;
    work->values = work->level + BLOCK;
    work->one = work->values + net->inputs * BLOCK;
    work->both = work->one + net->hidden * BLOCK;
    work->last = work->both + (net->hidden + EXTRAS) * BLOCK;
    return 1;
}

static int NAME(workspaces)(const Net *net, NAME(Work) *works, int64_t count) {
    /* Make room for each member of a team; tell whether there was. */
    int good = 1;
    for (int64_t k = 0; k < count; k++) {
        works[k].all = NULL;
        good = good && NAME(workspace)(net, &works[k]);
    }
    return good;
}

static void NAME(let_go)(NAME(Work) *works, int64_t count) {
    for (int64_t k = 0; k < count; k++) free(works[k].all);
}

static void NAME(normalize)(C *RESTRICT fine, int64_t active, const int64_t *pair, int64_t precision, C *RESTRICT reference,
                            int64_t *RESTRICT exponent, float *RESTRICT values) {
    /* Turn neighbours (active, BLOCK) in `fine` into inputs; give out the reference and the exponent of the spread. */
    C spread[BLOCK], factor[BLOCK];
    double wide[BLOCK];
    float narrow[BLOCK];
    int64_t bits[BLOCK];
    const C *first = fine + pair[0] * BLOCK, *second = fine + pair[1] * BLOCK;
    for (int i = 0; i < BLOCK; i++) {
        reference[i] = (first[i] + second[i]) * (C)0.5;
        spread[i] = (C)32.0;
    }
    for (int64_t k = 0; k < active; k++) {
        C *row = fine + k * BLOCK;
        for (int i = 0; i < BLOCK; i++) {
            C x = row[i] - reference[i], size = x < 0 ? -x : x;
            row[i] = x;
            spread[i] = spread[i] > size ? spread[i] : size;
        }
    }
    for (int i = 0; i < BLOCK; i++) {
        wide[i] = (double)spread[i];
        narrow[i] = (float)spread[i];
    }
    memcpy(bits, wide, sizeof bits);
    for (int i = 0; i < BLOCK; i++) exponent[i] = (bits[i] >> 52) - 1022;
    SET(log2_of)(narrow, values + active * BLOCK);
    for (int i = 0; i < BLOCK; i++) bits[i] = (int64_t)((uint64_t)(precision - exponent[i] + 1023) << 52); /* a power of two */
    memcpy(wide, bits, sizeof bits);
    for (int i = 0; i < BLOCK; i++) {
        factor[i] = (C)wide[i];
        narrow[i] = 1.0f;
    }
    C accurate = (C)ldexp(1.0, (int)(10 - precision));
    for (int64_t k = 0; k < active; k++) {
        C *row = fine + k * BLOCK;
        float *out = values + k * BLOCK;
        for (int i = 0; i < BLOCK; i++) row[i] = RINT(row[i] * factor[i]);
        if (precision == 10) {
            for (int i = 0; i < BLOCK; i++) out[i] = (float)row[i];
        } else {
            for (int i = 0; i < BLOCK; i++) out[i] = (float)RINT(row[i] * accurate);
        }
        for (int i = 0; i < BLOCK; i++) narrow[i] += out[i] < 0 ? -out[i] : out[i];
    }
    SET(log2_of)(narrow, values + (active + 1) * BLOCK);
}

static void NAME(block)(const Net *net, const NAME(Work) *work, int64_t kind, int64_t active, int64_t size, int64_t *mean,
                        uint8_t *level, uint8_t *flag) {
    /* Predict up to BLOCK values whose neighbours and errors are in the workspace; the first `size` are given out. */
    C reference[BLOCK];
    S linear[BLOCK];
    int64_t exponent[BLOCK];
    float *values = work->values, *extras = values + active * BLOCK;
    const S *skip = (const S *)net->skip + kind * net->slots;
    for (int i = 0; i < BLOCK; i++) linear[i] = 0;
    if (active) {
        NAME(normalize)(work->fine, active, net->pairs + 2 * kind, net->precision, reference, exponent, values);
        for (int64_t k = 0; k < active; k++) {
            const C *row = work->fine + k * BLOCK;
            S w = skip[k];
            for (int i = 0; i < BLOCK; i++) linear[i] += w * (S)row[i];
        }
    } else {
        for (int i = 0; i < BLOCK; i++) reference[i] = 0, exponent[i] = 6;
        memset(values, 0, sizeof(float) * 2 * BLOCK);
    }
    SET(log2_of)(work->near, extras + 2 * BLOCK);
    SET(log2_of)(work->near + BLOCK, extras + 3 * BLOCK);
    for (int i = 0; i < BLOCK; i++) extras[4 * BLOCK + i] = net->has_level ? (work->level[i] - 32.0f) * 64.0f : 0.0f;
    SET(sums)(net->first + kind * net->hidden * net->inputs, net->hidden, active + EXTRAS, net->inputs,
              net->first_bias + kind * net->hidden, values, work->one);
    SET(activate)(work->one, net->hidden, net->first_factor);
    SET(sums)(net->second, net->hidden, net->hidden, net->hidden, net->second_bias, work->one, work->both);
    SET(activate)(work->both, net->hidden, net->second_factor);
    memcpy(work->both + net->hidden * BLOCK, extras, sizeof(float) * EXTRAS * BLOCK);
    SET(sums)(net->ends, net->end_count, net->hidden + EXTRAS, net->hidden + EXTRAS, net->ends_bias, work->both, work->last);
    int64_t bits[BLOCK];
    double scale[BLOCK], unit = net->skip_unit[kind];
    for (int i = 0; i < BLOCK; i++) bits[i] = (int64_t)((uint64_t)(exponent[i] + 1023) << 52);
    memcpy(scale, bits, sizeof bits);
    for (int64_t i = 0; i < size; i++) {
        float own = work->last[i] * net->ends_factor[0];
        double other = (double)linear[i] * unit, t = (double)own + other, shift = t * scale[i];
        mean[i] = (int64_t)rint(shift + (double)reference[i]);
    }
    for (int64_t i = 0; i < size; i++) {
        float x = rintf(work->last[BLOCK + i] * net->ends_factor[1]);
        x = x > 0.0f ? x : 0.0f;
        level[i] = (uint8_t)(x < LEVELS - 1 ? x : LEVELS - 1);
    }
    if (net->has_flag)
        for (int64_t i = 0; i < size; i++) {
            float x = rintf(work->last[2 * BLOCK + i] * net->ends_factor[2]);
            x = x > 0.0f ? x : 0.0f;
            flag[i] = (uint8_t)(x < FLAG_BINS - 1 ? x : FLAG_BINS - 1);
        }
}

static int NAME(through)(Coder *coder, int decoding, const Chunk *chunk, int64_t first, const int32_t *index, const Run *run,
                         int64_t count) {
    /* Decode or encode a predicted run, at `first` + `index`, and store its values; tell whether the stream held it. */
    C *context = (C *)chunk->context;
    int64_t moving = chunk->base_count > 1;
    for (int64_t i = 0; i < count; i++) {
        int64_t place = first + index[i];
        run->total[i] += chunk->base[place * moving];
        run->keep[i] = chunk->kept[place];
    }
    if (decoding) {
        if (!decoded(coder, chunk, run, count)) return 0;
    } else {
        coded(chunk, first, index, run, count);
    }
    int64_t whole = chunk->whole;
    double limit = chunk->limit;
    for (int64_t i = 0; i < count; i++) {
        int64_t place = first + index[i], q = run->q[i], total = run->total[i];
        int64_t made = whole ? (int64_t)((uint64_t)(q + ((total + 32) >> 6)) << 6) : (int64_t)(((uint64_t)q << 6) + (uint64_t)total);
        chunk->value[place] = made;
        double about = (double)(made - chunk->base[place * moving]), size = (double)(q < 0 ? -q : q); /* wraps, as NumPy's abs */
        about = about > -limit ? about : -limit;
        context[place] = (C)(about < limit ? about : limit);
        chunk->errors[place] = (float)(size < ERROR_TOP ? size : ERROR_TOP);
    }
    return 1;
}

typedef struct {
    const int64_t *places, *counts, *inner, *outer, *runs; /* runs: pairs of the first target and the one after the last */
    int64_t width, axes, active, inner_count, outer_count, run_count, kind, targets;
    const int64_t *slots; /* which slots the neighbours are in */
} NAME(Part);

static int NAME(predict_into)(NAME(Work) work, int64_t *base, const Net *net, const C *context, const float *errors, const uint8_t *levels, const NAME(Part) *part,
                         int64_t start, int64_t stop, int32_t *index, const Run *run) {
    /* Predict the targets `start` to `stop` of a pass of bisection; fill `index` with their places. */
    int64_t active = part->active, length = part->counts[part->axes - 1], current = -1, fill = 0, done = 0;
    const int64_t *last = part->places + part->width - length;
    while (done < stop - start) {
        int64_t i = start + done + fill, j = i % length, take = least(least(length - j, stop - i), BLOCK - fill);
        if (i / length != current) {
            int64_t row = current = i / length, end = part->width - length;
            memset(base, 0, sizeof(int64_t) * (size_t)(active + 1));
            for (int64_t axis = part->axes - 2; axis >= 0; axis--) {
                end -= part->counts[axis];
                int64_t at = end + row % part->counts[axis];
                row /= part->counts[axis];
                for (int64_t s = 0; s <= active; s++) base[s] += part->places[s * part->width + at];
            }
        }
        for (int64_t s = 0; s < active; s++) {
            C *row = work.fine + s * BLOCK + fill;
            const C *from = context + base[s];
            const int64_t *line = last + s * part->width + j;
            for (int64_t k = 0; k < take; k++) row[k] = from[line[k]];
        }
        for (int group = 0; group < 2; group++) {
            float *row = work.near + group * BLOCK + fill;
            const int64_t *chosen = group ? part->outer : part->inner, many = group ? part->outer_count : part->inner_count;
            for (int64_t k = 0; k < take; k++) row[k] = 1.0f;
            for (int64_t c = 0; c < many; c++) {
                const float *from = errors + base[chosen[c]];
                const int64_t *line = last + chosen[c] * part->width + j;
                for (int64_t k = 0; k < take; k++) row[k] += from[line[k]];
            }
        }
        for (int64_t k = 0; k < take; k++) index[done + fill + k] = (int32_t)(base[active] + last[active * part->width + j + k]);
        fill += take;
        if (fill == BLOCK || i + take == stop) {
            if (net->has_level)
                for (int64_t k = 0; k < fill; k++) work.level[k] = levels[index[done + k]];
            NAME(block)(net, &work, part->kind, active, fill, run->total + done, run->level + done, run->flag + done);
            done += fill;
            fill = 0;
        }
    }
    return 1;
}

typedef struct {
    const Net *net;
    const NAME(Work) *works;
    const Chunk *chunk;
    const uint8_t *levels;
    const NAME(Part) *part;
    int64_t *bases, start, stop;
    int32_t *index;
    Run run;
} NAME(Bisected);

static void NAME(predict_blocks)(void *given, int64_t member, int64_t first, int64_t last) {
    const NAME(Bisected) *b = given;
    int64_t at = first * BLOCK, start = b->start + at, stop = least(b->start + last * BLOCK, b->stop);
    Run run = run_at(&b->run, at);
    NAME(predict_into)(b->works[member], b->bases + member * (b->net->slots + 1), b->net, (const C *)b->chunk->context,
                       b->chunk->errors, b->levels, b->part, start, stop, b->index + at, &run);
}

static int NAME(bisect)(const Net *net, Coder *coder, int decoding, const Chunk *chunk, const uint8_t *levels,
                        const NAME(Part) *const *parts, int64_t count, int64_t longest, const Run *buffers, int64_t threads) {
    /* Decode or encode the passes of bisection, one after the other; tell whether the stream held them. Encoded runs stay in the
     * buffers. */
    NAME(Work) works[MOST_MEMBERS];
    Team team;
    gather_team(&team, threads);
    int64_t *bases = malloc(sizeof(int64_t) * (size_t)((net->slots + 1) * team.members)), done = 0;
    int32_t *index = malloc(sizeof(int32_t) * (size_t)longest);
    int good = NAME(workspaces)(net, works, team.members) && bases && index ? 1 : NO_MEMORY;
    for (int64_t p = 0; good == 1 && p < count; p++) {
        for (int64_t r = 0; good == 1 && r < parts[p]->run_count; r++) {
            int64_t start = parts[p]->runs[2 * r], stop = parts[p]->runs[2 * r + 1];
            NAME(Bisected) about = {net, works, chunk, levels, parts[p], bases, start, stop, index, {0}};
            about.run = run_at(buffers, decoding ? 0 : done + start);
            together(&team, NAME(predict_blocks), &about, (stop - start + BLOCK - 1) / BLOCK);
            good = NAME(through)(coder, decoding, chunk, 0, index, &about.run, stop - start);
        }
        done += parts[p]->targets;
    }
    dismiss_team(&team);
    NAME(let_go)(works, team.members);
    free(bases);
    free(index);
    return good;
}

typedef struct {
    const int32_t *order;
    const int64_t *ends;
    const uint16_t *states;
    const int32_t *table;
    const int64_t *inner, *outer;
    int64_t end_count, slots, inner_count, outer_count, longest;
} NAME(Wave);

static void NAME(around)(const Chunk *chunk, const NAME(Wave) *wave, const int32_t *index, int64_t count, int alike,
                         const NAME(Work) *work) {
    /* Take the neighbours of up to BLOCK values of a diagonal, and sums of their errors: at distances of the first value's state if
     * all are `alike`, else of each one's. */
    const C *context = (const C *)chunk->context;
    const float *errors = chunk->errors;
    int64_t slots = wave->slots;
    float *inner = work->near, *outer = work->near + BLOCK;
    for (int i = 0; i < 2 * BLOCK; i++) work->near[i] = 1.0f;
    if (alike) {
        const int32_t *distance = wave->table + wave->states[index[0]] * slots;
        for (int64_t s = 0; s < slots; s++) {
            C *row = work->fine + s * BLOCK;
            const C *from = context + distance[s];
            for (int64_t i = 0; i < count; i++) row[i] = from[index[i]];
        }
        for (int64_t c = 0; c < wave->inner_count; c++) {
            const float *from = errors + distance[wave->inner[c]];
            for (int64_t i = 0; i < count; i++) inner[i] += from[index[i]];
        }
        for (int64_t c = 0; c < wave->outer_count; c++) {
            const float *from = errors + distance[wave->outer[c]];
            for (int64_t i = 0; i < count; i++) outer[i] += from[index[i]];
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const int32_t *distance = wave->table + wave->states[index[i]] * slots;
        for (int64_t s = 0; s < slots; s++) work->fine[s * BLOCK + i] = context[index[i] + (int64_t)distance[s]];
        for (int64_t c = 0; c < wave->inner_count; c++) inner[i] += errors[index[i] + (int64_t)distance[wave->inner[c]]];
        for (int64_t c = 0; c < wave->outer_count; c++) outer[i] += errors[index[i] + (int64_t)distance[wave->outer[c]]];
    }
}

typedef struct {
    const Net *net;
    const NAME(Work) *works;
    const Chunk *chunk;
    const NAME(Wave) *wave;
    const uint8_t *levels;
    const int32_t *index;
    int64_t count, inside, active, kind; /* inside: values that have all neighbours within the chunk, the first ones */
    Run run;
} NAME(Scanned);

static void NAME(scan_blocks)(void *given, int64_t member, int64_t first, int64_t last) {
    const NAME(Scanned) *s = given;
    const NAME(Work) *work = &s->works[member];
    for (int64_t i = first * BLOCK; i < least(last * BLOCK, s->count); i += BLOCK) {
        int64_t some = least(BLOCK, s->count - i);
        if (s->active) NAME(around)(s->chunk, s->wave, s->index + i, some, i + some <= s->inside, work);
        if (s->net->has_level)
            for (int64_t j = 0; j < some; j++) work->level[j] = s->levels[s->index[i + j]];
        NAME(block)(s->net, work, s->kind, s->active, some, s->run.total + i, s->run.level + i, s->run.flag + i);
    }
}

static int NAME(scan)(const Net *net, Coder *coder, int decoding, const Chunk *chunk, const NAME(Wave) *wave, const uint8_t *levels,
                      const Run *buffers, int64_t threads) {
    /* Decode or encode a chunk in raster order; tell whether the stream held it. With one place in the buffers for each value, all
     * runs stay in them, in the order of decoding. */
    NAME(Work) works[MOST_MEMBERS];
    Team team;
    gather_team(&team, threads);
    int good = NAME(workspaces)(net, works, team.members) ? 1 : NO_MEMORY;
    for (int64_t k = 0; good == 1 && k < team.members; k++)
        for (int i = 0; i < 2 * BLOCK; i++) works[k].near[i] = 1.0f;
    int64_t start = 0;
    for (int64_t number = 0; good == 1 && number < wave->end_count; number += 2) {
        int64_t middle = wave->ends[number], end = wave->ends[number + 1];
        for (int64_t a = start; good == 1 && a < end; a += wave->longest) {
            int64_t count = least(end - a, wave->longest);
            NAME(Scanned) about = {net, works, chunk, wave, levels, wave->order + a, count, middle - a, number ? wave->slots : 0,
                                   number ? 1 : 0, {0}};
            about.run = run_at(buffers, decoding ? 0 : a);
            together(&team, NAME(scan_blocks), &about, (count + BLOCK - 1) / BLOCK);
            good = NAME(through)(coder, decoding, chunk, 0, about.index, &about.run, count);
        }
        start = end;
    }
    dismiss_team(&team);
    NAME(let_go)(works, team.members);
    return good;
}

#define SIGNAL_LAGS 32 /* as in `signal` */
#define SIGNAL_START 8

typedef struct {
    const Net *net;
    const NAME(Work) *works;
    const Chunk *chunk;
    int64_t t, c, columns, segments;
    Run run;
} NAME(Along);

static void NAME(series_blocks)(void *given, int64_t member, int64_t first, int64_t last) {
    const NAME(Along) *a = given;
    const NAME(Work) *work = &a->works[member];
    const C *context = (const C *)a->chunk->context;
    const float *errors = a->chunk->errors;
    int64_t t = a->t, c = a->c, segments = a->segments, row_size = a->columns * segments, active = t ? SIGNAL_LAGS + c : 0;
    int64_t kind = t ? 1 + c + (t >= SIGNAL_START ? a->columns : 0) : 0;
    float *inner = work->near, *outer = work->near + BLOCK;
    for (int64_t i = first * BLOCK; i < least(last * BLOCK, segments); i += BLOCK) {
        int64_t size = least(BLOCK, segments - i);
        for (int64_t k = 0; k < size; k++) inner[k] = outer[k] = 1.0f;
        for (int64_t back = most(0, t - 2); back < t; back++) {
            const float *from = errors + back * row_size + c * segments + i;
            for (int64_t k = 0; k < size; k++) inner[k] += from[k];
        }
        for (int64_t j = 0; j < c; j++) {
            const float *from = errors + t * row_size + j * segments + i;
            for (int64_t k = 0; k < size; k++) outer[k] += from[k];
        }
        if (t) {
            for (int64_t k = 0; k < SIGNAL_LAGS; k++) {
                C *row = work->fine + k * BLOCK;
                const C *from = context + most(t - 1 - k, 0) * row_size + c * segments + i;
                for (int64_t m = 0; m < size; m++) row[m] = from[m];
            }
            const C *own = context + (t - 1) * row_size + c * segments + i;
            for (int64_t j = 0; j < c; j++) {
                C *row = work->fine + (SIGNAL_LAGS + j) * BLOCK;
                const C *now = context + t * row_size + j * segments + i, *then = now - row_size;
                for (int64_t m = 0; m < size; m++) row[m] = (now[m] - then[m]) + own[m];
            }
        }
        NAME(block)(a->net, work, kind, active, size, a->run.total + i, a->run.level + i, a->run.flag + i);
    }
}

static int NAME(series)(const Net *net, Coder *coder, int decoding, const Chunk *chunk, int64_t length, int64_t columns,
                        int64_t segments, const int32_t *index, const Run *buffers, int64_t threads) {
    /* Decode or encode a signal (length, columns, segments), as `scan` does; `index` counts segments. */
    NAME(Work) works[MOST_MEMBERS];
    Team team;
    gather_team(&team, threads);
    int good = NAME(workspaces)(net, works, team.members) ? 1 : NO_MEMORY;
    for (int64_t t = 0; good == 1 && t < length; t++)
        for (int64_t c = 0; good == 1 && c < columns; c++) {
            int64_t at = (t * columns + c) * segments;
            NAME(Along) about = {net, works, chunk, t, c, columns, segments, {0}};
            about.run = run_at(buffers, decoding ? 0 : at);
            together(&team, NAME(series_blocks), &about, (segments + BLOCK - 1) / BLOCK);
            good = NAME(through)(coder, decoding, chunk, at, index, &about.run, segments);
        }
    dismiss_team(&team);
    NAME(let_go)(works, team.members);
    return good;
}

/* Twin of `rows.Collector`: what a network sees of chosen values, to be trained on. */

static int NAME(rows_workspace)(int64_t slots, NAME(Work) *work) {
    Net like = {0};
    like.slots = slots, like.inputs = slots + EXTRAS;
    return NAME(workspace)(&like, work);
}

static void NAME(rows_block)(const Rows *rows, const NAME(Work) *work, int64_t class_of, int64_t active, const int64_t *slots,
                             int64_t first, int64_t count) {
    /* Make rows of up to BLOCK values whose neighbours, errors and levels are in the workspace. */
    C reference[BLOCK], unit = (C)ldexp(1.0, (int)-rows->precision);
    int64_t exponent[BLOCK], places = rows->width - EXTRAS;
    const int64_t *pair = rows->pairs + 2 * class_of;
    float *values = work->values, *extras = values + active * BLOCK;
    if (pair[0] >= 0) {
        NAME(normalize)(work->fine, active, pair, rows->precision, reference, exponent, values);
    } else {
        for (int i = 0; i < BLOCK; i++) reference[i] = 0, exponent[i] = 6;
        memset(extras, 0, sizeof(float) * 2 * BLOCK);
    }
    SET(log2_of)(work->near, extras + 2 * BLOCK);
    SET(log2_of)(work->near + BLOCK, extras + 3 * BLOCK);
    for (int i = 0; i < BLOCK; i++) extras[4 * BLOCK + i] = rows->has_level ? (work->level[i] - 32.0f) * 64.0f : 0.0f;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = first + i;
        float *row = rows->values + at * rows->width;
        for (int64_t s = 0; s < active; s++) row[slots ? slots[s] : s] = (float)(work->fine[s * BLOCK + i] * unit);
        for (int64_t e = 0; e < EXTRAS; e++) row[places + e] = extras[e * BLOCK + i] * 0.0009765625f;
        rows->class_of[at] = class_of;
        rows->left[at] = (float)((rows->target[rows->place[at]] - (double)reference[i]) * 0.015625);
        rows->spread[at] = (float)ldexp(1.0, (int)exponent[i] - 6);
    }
}

static int NAME(rows_bisected)(const Rows *rows, const NAME(Part) *const *parts, int64_t count, int64_t slots) {
    NAME(Work) work;
    if (!NAME(rows_workspace)(slots, &work)) return NO_MEMORY;
    const C *context = (const C *)rows->context;
    int64_t next = 0, before = 0;
    for (int64_t p = 0; p < count && next < rows->count; p++) {
        const NAME(Part) *part = parts[p];
        if (!part->active) continue;
        int64_t first = next, filled = 0;
        while (next < rows->count && rows->chosen[next] < before + part->targets) {
            int64_t t = rows->chosen[next] - before, at[32], end = part->width, axis;
            for (axis = part->axes - 1; axis >= 0; axis--) {
                end -= part->counts[axis];
                at[axis] = end + t % part->counts[axis];
                t /= part->counts[axis];
            }
            work.near[filled] = work.near[BLOCK + filled] = 1.0f;
            int64_t place = 0;
            for (int64_t s = 0; s <= part->active; s++) {
                place = 0;
                for (axis = 0; axis < part->axes; axis++) place += part->places[s * part->width + at[axis]];
                if (s < part->active) work.fine[s * BLOCK + filled] = context[place];
            }
            for (int group = 0; group < 2; group++) {
                const int64_t *chosen = group ? part->outer : part->inner, many = group ? part->outer_count : part->inner_count;
                for (int64_t c = 0; c < many; c++) {
                    int64_t there = 0;
                    for (axis = 0; axis < part->axes; axis++) there += part->places[chosen[c] * part->width + at[axis]];
                    work.near[group * BLOCK + filled] += rows->errors[there];
                }
            }
            rows->place[next++] = place;
            if (rows->has_level) work.level[filled] = rows->levels[place];
            if (++filled == BLOCK) {
                NAME(rows_block)(rows, &work, part->kind, part->active, part->slots, first, filled);
                first = next, filled = 0;
            }
        }
        if (filled) NAME(rows_block)(rows, &work, part->kind, part->active, part->slots, first, filled);
        before += part->targets;
    }
    free(work.all);
    return 1;
}

static int NAME(rows_scanned)(const Rows *rows, const NAME(Wave) *wave) {
    NAME(Work) work;
    if (!NAME(rows_workspace)(wave->slots, &work)) return NO_MEMORY;
    Chunk chunk = {0};
    chunk.context = (void *)rows->context, chunk.errors = (float *)rows->errors;
    int64_t skipped = wave->end_count > 1 ? wave->ends[1] : 0;
    int32_t index[BLOCK];
    for (int64_t first = 0; first < rows->count; first += BLOCK) {
        int64_t some = least(BLOCK, rows->count - first);
        for (int64_t i = 0; i < some; i++) {
            index[i] = wave->order[skipped + rows->chosen[first + i]];
            rows->place[first + i] = index[i];
            if (rows->has_level) work.level[i] = rows->levels[index[i]];
        }
        NAME(around)(&chunk, wave, index, some, 0, &work);
        NAME(rows_block)(rows, &work, 1, wave->slots, NULL, first, some);
    }
    free(work.all);
    return 1;
}

static int NAME(rows_along)(const Rows *rows, int64_t columns, int64_t segments) {
    /* Of a signal (length, columns, segments), whose first index has no neighbours. */
    NAME(Work) work;
    if (!NAME(rows_workspace)(SIGNAL_LAGS + columns, &work)) return NO_MEMORY;
    const C *context = (const C *)rows->context;
    int64_t row_size = columns * segments, next = 0;
    while (next < rows->count) {
        int64_t first = next, filled = 0, pass = rows->chosen[next] / segments, t = 1 + pass / columns, c = pass % columns;
        for (; filled < BLOCK && next < rows->count && rows->chosen[next] / segments == pass; filled++, next++) {
            int64_t place = t * row_size + c * segments + rows->chosen[next] % segments, own = place - row_size;
            int64_t column = place - t * row_size, other;
            float inner = 1.0f, outer = 1.0f;
            for (int64_t back = most(0, t - 2); back < t; back++) inner += rows->errors[back * row_size + column];
            for (int64_t k = 0; k < SIGNAL_LAGS; k++) work.fine[k * BLOCK + filled] = context[most(t - 1 - k, 0) * row_size + column];
            for (int64_t j = 0; j < c; j++) {
                other = place + (j - c) * segments;
                outer += rows->errors[other];
                work.fine[(SIGNAL_LAGS + j) * BLOCK + filled] = (context[other] - context[other - row_size]) + context[own];
            }
            work.near[filled] = inner, work.near[BLOCK + filled] = outer;
            rows->place[next] = place;
        }
        NAME(rows_block)(rows, &work, 1 + c + (t >= SIGNAL_START ? columns : 0), SIGNAL_LAGS + c, NULL, first, filled);
    }
    free(work.all);
    return 1;
}
#undef SIGNAL_LAGS
#undef SIGNAL_START
