/* Everything that is compiled for an instruction set: included with SET, VECTOR (floats of a register), VECTORS_OF_FOUR (registers of
 * values beside four units) and MULTIPLY_ADD. */

#define NAME(x) SET(x)
#include "sums.h"
#undef NAME

#define NAME(x) JOIN(SET(x), ff)
#define C float
#define S float
#define RINT rintf
#include "context.h"
#undef NAME
#undef S

#define NAME(x) JOIN(SET(x), fd)
#define S double
#include "context.h"
#undef NAME
#undef C
#undef RINT

#define NAME(x) JOIN(SET(x), dd)
#define C double
#define RINT rint
#include "context.h"
#undef NAME
#undef C
#undef S
#undef RINT

#define OF_TYPES(f, ...)                                                                                                       \
    (types == 0 ? JOIN(SET(f), ff)(__VA_ARGS__) : types == 1 ? JOIN(SET(f), fd)(__VA_ARGS__) : JOIN(SET(f), dd)(__VA_ARGS__))

static int64_t SET(any_bisect)(int64_t types, const Net *net, Coder *coder, int decoding, const Chunk *chunk, const uint8_t *levels,
                               const void *parts, int64_t count, int64_t longest, const Run *buffers, int64_t threads) {
    return OF_TYPES(bisect, net, coder, decoding, chunk, levels, parts, count, longest, buffers, threads);
}

static int64_t SET(any_scan)(int64_t types, const Net *net, Coder *coder, int decoding, const Chunk *chunk, const void *wave,
                             const uint8_t *levels, const Run *buffers, int64_t threads) {
    return OF_TYPES(scan, net, coder, decoding, chunk, wave, levels, buffers, threads);
}

static int64_t SET(any_series)(int64_t types, const Net *net, Coder *coder, int decoding, const Chunk *chunk, int64_t length,
                               int64_t columns, int64_t segments, const int32_t *index, const Run *buffers, int64_t threads) {
    return OF_TYPES(series, net, coder, decoding, chunk, length, columns, segments, index, buffers, threads);
}

static int64_t SET(any_rows)(int64_t types, const Rows *rows, int64_t way, const void *parts, int64_t count, int64_t slots) {
    if (way == 0) return OF_TYPES(rows_bisected, rows, parts, count, slots);
    if (way == 1) return OF_TYPES(rows_scanned, rows, parts);
    return OF_TYPES(rows_along, rows, count, slots);
}
#undef OF_TYPES

#include "channels.h"
