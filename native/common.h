/* What all loops share: how arrays come in, and how a function of a loop is named.
 *
 * A struct here lies over an array of 64-bit words that `aezip.core.native` makes: addresses and whole numbers. Nothing is
 * checked on this side: places follow from shapes, and the callers say which arrays hold what a file says.
 *
 * Sums are of whole numbers that the floating-point type holds exactly, so that their order, and whether a product is fused
 * with a sum, do not matter. Everything else is one rounding of IEEE 754 each, as in NumPy: no contraction, no reassociation.
 */
#ifndef AEZIP_COMMON_H
#define AEZIP_COMMON_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if UINTPTR_MAX != UINT64_MAX
#error "addresses of 64 bits are needed: aezip works without the extension, only slower"
#endif

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

#define RESTRICT __restrict
#define BLOCK 64       /* values computed together */
#define EXTRAS 5       /* inputs besides neighbours: core/fixed.py */
#define LEVELS 200
#define FLAG_BINS 32
#define ACTIVATION_TOP 1023.0f
#define ERROR_TOP 4095.0
#define NO_MEMORY (-2)

enum { WORD, LANES, TAIL, LEFT, ESCAPES, LOW }; /* places in a coder's cursor; LOW: one for each shift */

typedef struct {
    const uint32_t *lookup;
    const int16_t *certain;
    uint32_t *states;
    uint16_t *words;
    int64_t *cursor;
    const int64_t *escapes, *low, *low_end;
    int64_t word_count, escape_count;
} Coder;

typedef struct { /* the values of a run */
    int64_t *total;
    uint8_t *level, *flag, *keep, *table, *symbol;
    int64_t *q;
} Run;

typedef struct {
    void *context; /* float or double */
    float *errors;
    int64_t *value;
    const uint8_t *kept;
    const int64_t *base;
    int64_t base_count;
    const double *target;
    const int64_t *integers;
    double limit;
    int64_t whole, spike, has_spike;
} Chunk;

typedef struct {
    int64_t precision;
    const int64_t *pairs;
    const float *first, *first_bias, *first_factor, *second, *second_bias, *second_factor, *ends, *ends_bias, *ends_factor;
    const void *skip; /* float or double */
    const double *skip_unit;
    int64_t has_flag, has_level, hidden, inputs, end_count, slots;
} Net;

typedef struct { /* what a network sees of chosen values of a chunk, a row each */
    const void *context; /* float or double */
    const float *errors;
    const uint8_t *levels;
    const double *target;  /* in 1/64 step, relative to the base */
    const int64_t *chosen; /* among the values that have neighbours, in the order of decoding */
    const int64_t *pairs;  /* of each class: two neighbours, or -1 twice */
    float *values;         /* (chosen, width), zero */
    int64_t *class_of, *place;
    float *left, *spread;
    int64_t count, width, precision, has_level;
} Rows;

typedef struct { /* channels, each predicted by a weighted sum of those before it */
    double *known;            /* (before + count, slab), in 1/64 step: those of companions first */
    int64_t *mean;            /* of the channel under way */
    uint8_t *level;           /* the same */
    const int64_t *starts;    /* of the terms of each channel, and the end */
    const int64_t *sources, *places, *others; /* of terms; others: -1 where there is no second factor */
    const double *weights;
    const int64_t *constants; /* of channels */
    const int64_t *heard;     /* of each channel two whose errors tell its level, or -1 twice */
    const uint8_t *levels;    /* of sums of errors */
    const int64_t *lengths;   /* of the axes of a slab */
    int64_t axes, before, count, slab, has_levels;
} Mixed;

static inline Run run_at(const Run *run, int64_t at) {
    Run out = {run->total + at, run->level + at, run->flag + at, run->keep + at, run->table + at, run->symbol + at, run->q + at};
    return out;
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

#endif
