/* The compiled loops of aezip: the same bits as the NumPy code beside which their wrappers stand, sooner.
 *
 * Built with the package, loaded with ctypes by `aezip/core/native.py`; nothing of Python's interface is used but what makes this an
 * extension module, so that one build serves all versions. Loops that vectorize are compiled for several instruction sets; which is
 * used is found out when the library is loaded.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "common.h"
#include "entropy.h"
#include "team.h"
#include "places.h"
#include "recency.h"
#include "walk.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

/* without a name of its own: what every processor of the kind can do */
#define SET(x) JOIN(x, plain)
#define VECTOR 4
#define VECTORS_OF_FOUR 2
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#include "instruction_set.h"
#undef SET
#undef VECTOR
#undef VECTORS_OF_FOUR
#undef MULTIPLY_ADD

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_SETS 1
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define SET(x) JOIN(x, avx2)
#define VECTOR 8
#define VECTORS_OF_FOUR 2
#define MULTIPLY_ADD(a, b, c) ((__typeof__(c))_mm256_fmadd_ps((__m256)(a), _mm256_set1_ps(b), (__m256)(c)))
#include "instruction_set.h"
#undef SET
#undef VECTOR
#undef VECTORS_OF_FOUR
#undef MULTIPLY_ADD
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#define SET(x) JOIN(x, avx512)
#define VECTOR 16
#define VECTORS_OF_FOUR 4
#define MULTIPLY_ADD(a, b, c) ((__typeof__(c))_mm512_fmadd_ps((__m512)(a), _mm512_set1_ps(b), (__m512)(c)))
#include "instruction_set.h"
#undef SET
#undef VECTOR
#undef VECTORS_OF_FOUR
#undef MULTIPLY_ADD
#pragma GCC pop_options
#endif

static int chosen = 0;

API int64_t aezip_sets(void) {
    /* Return how many instruction sets this processor has, of those compiled for: 1 plain, 2 AVX2, 3 AVX-512. */
#ifdef HAS_SETS
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 1;
    int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq");
    return wide ? 3 : 2;
#else
    return 1;
#endif
}

API int64_t aezip_use(int64_t set) { return chosen = (int)set; }

#ifdef HAS_SETS
#define CALL(f, ...) (chosen == 3 ? JOIN(f, avx512)(__VA_ARGS__) : chosen == 2 ? JOIN(f, avx2)(__VA_ARGS__) : JOIN(f, plain)(__VA_ARGS__))
#else
#define CALL(f, ...) JOIN(f, plain)(__VA_ARGS__)
#endif

/* types: 0 float contexts and sums, 1 float contexts and double sums, 2 double both */

API int64_t aezip_bisect(int64_t types, const Net *net, Coder *coder, int64_t decoding, const Chunk *chunk, const uint8_t *levels,
                         const void *parts, int64_t count, int64_t longest, const Run *buffers, int64_t threads) {
    return CALL(any_bisect, types, net, coder, (int)decoding, chunk, levels, parts, count, longest, buffers, threads);
}

API int64_t aezip_scan(int64_t types, const Net *net, Coder *coder, int64_t decoding, const Chunk *chunk, const void *wave,
                       const uint8_t *levels, const Run *buffers, int64_t threads) {
    return CALL(any_scan, types, net, coder, (int)decoding, chunk, wave, levels, buffers, threads);
}

API int64_t aezip_series(int64_t types, const Net *net, Coder *coder, int64_t decoding, const Chunk *chunk, int64_t length,
                         int64_t columns, int64_t segments, const int32_t *index, const Run *buffers, int64_t threads) {
    return CALL(any_series, types, net, coder, (int)decoding, chunk, length, columns, segments, index, buffers, threads);
}

API int64_t aezip_channels(int64_t types, const Net *net, Coder *coder, int64_t decoding, const Chunk *chunk, const Mixed *mixed,
                           const void *parts, int64_t count, int64_t longest, const Run *buffers, int64_t threads) {
    return CALL(any_channels, types, net, coder, (int)decoding, chunk, mixed, parts, count, longest, buffers, threads);
}

API int64_t aezip_mixed(const Mixed *mixed, int64_t channel) {
    CALL(mixed, mixed, channel);
    return 0;
}

API int64_t aezip_rows(int64_t types, const Rows *rows, int64_t way, const void *parts, int64_t count, int64_t slots) {
    /* way: 0 bisection (parts, how many, slots), 1 raster (the wave), 2 a signal (columns, segments) */
    return CALL(any_rows, types, rows, way, parts, count, slots);
}

API int64_t aezip_log2(const float *value, float *out) {
    CALL(log2_of, value, out);
    return 0;
}

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_loops", "Compiled loops; see aezip.core.native.", -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__loops(void) { return PyModule_Create(&definition); }
