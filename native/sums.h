/* The multiply-adds of a context network, for one instruction set: included once for each, with NAME, VECTOR, VECTORS_OF_FOUR and MULTIPLY_ADD. */

typedef float NAME(vector) __attribute__((vector_size(4 * VECTOR), aligned(4 * VECTOR), may_alias));
#define VEC NAME(vector)

#define TILE_SUMS(UNITS, VECTORS)                                                                                              \
    for (int64_t at = 0; at < BLOCK; at += VECTORS * VECTOR) {                                                                 \
        VEC sum[UNITS][VECTORS];                                                                                               \
        for (int k = 0; k < UNITS; k++)                                                                                        \
            for (int v = 0; v < VECTORS; v++) sum[k][v] = (VEC){0} + bias[u + k];                                              \
        for (int64_t j = 0; j < inputs; j++) {                                                                                 \
            VEC x[VECTORS];                                                                                                    \
            for (int v = 0; v < VECTORS; v++) x[v] = *(const VEC *)(values + j * BLOCK + at + v * VECTOR);                     \
            for (int k = 0; k < UNITS; k++)                                                                                    \
                for (int v = 0; v < VECTORS; v++) sum[k][v] = MULTIPLY_ADD(x[v], weight[(u + k) * stride + j], sum[k][v]);     \
        }                                                                                                                      \
        for (int k = 0; k < UNITS; k++)                                                                                        \
            for (int v = 0; v < VECTORS; v++) *(VEC *)(out + (u + k) * BLOCK + at + v * VECTOR) = sum[k][v];                   \
    }

static void NAME(sums)(const float *weight, int64_t units, int64_t inputs, int64_t stride, const float *bias,
                       const float *RESTRICT values, float *RESTRICT out) {
    /* Fill out (units, BLOCK) with weight (units, stride)[:, :inputs] @ values + bias. */
    int64_t u = 0;
    for (; u + 4 <= units; u += 4) TILE_SUMS(4, VECTORS_OF_FOUR)
    for (; u < units; u++) TILE_SUMS(1, VECTORS_OF_FOUR)
}

static void NAME(activate)(float *RESTRICT rows, int64_t units, const float *factor) {
    /* Replace rows (units, BLOCK) by clip(rint(rows * factor), 0, top). */
    for (int64_t u = 0; u < units; u++) {
        float *row = rows + u * BLOCK, f = factor[u];
        for (int i = 0; i < BLOCK; i++) {
            float x = rintf(row[i] * f);
            x = x > 0.0f ? x : 0.0f;
            row[i] = x < ACTIVATION_TOP ? x : ACTIVATION_TOP;
        }
    }
}

static void NAME(log2_of)(const float *RESTRICT value, float *RESTRICT out) {
    /* Fill out with rint(256 log2(value)) by straight lines between powers of two.
     *
     * As a fixed-point number such a logarithm is the bits themselves, less the bias of the exponent: nothing is rounded but
     * once, half to even. Sums in float would round a second time. */
    int32_t bits[BLOCK];
    memcpy(bits, value, sizeof bits);
    for (int i = 0; i < BLOCK; i++) {
        int32_t scaled = bits[i] - (127 << 23), whole = scaled >> 15, rest = scaled & 0x7FFF;
        int32_t up = (rest > 0x4000) | ((rest == 0x4000) & (whole & 1));
        out[i] = (float)(whole + up);
    }
}
#undef VEC
#undef TILE_SUMS
