/* The likelihood score as three nested loops, for comparison only; written from the formula.

   mls_loop_views is what Cython makes of PFE's evaluation loop: arrays reached through run-time strides, as memory views
   are, the C library's logarithm (of doubles), the sum kept in the result. mls_loop_plain is the same sum as a C
   programmer would write it for this compiler: contiguous arrays, float logarithm, a local sum; gcc then makes vectors of
   everything, the logarithm too. */
#include <math.h>

#define AT(view, i, k) (*(const float *)((const char *)(view) + (i) * row_stride + (k) * column_stride))

void mls_loop_views(const float *mean1, const float *var1, const float *mean2, const float *var2, float *out, long n,
                    long m, long dims, long row_stride, long column_stride, long out_stride)
{
#pragma omp parallel for
    for (long i = 0; i < n; i++)
        for (long j = 0; j < m; j++) {
            float *result = (float *)((char *)out + i * out_stride) + j;
            *result = 0.0f;
            for (long k = 0; k < dims; k++) {
                float difference = AT(mean1, i, k) - AT(mean2, j, k);
                float variance = AT(var1, i, k) + AT(var2, j, k);
                *result += difference * difference / variance + log(variance);
            }
            *result *= -0.5f;
        }
}

void mls_loop_plain(const float *mean1, const float *var1, const float *mean2, const float *var2, float *out, long n,
                    long m, long dims)
{
#pragma omp parallel for
    for (long i = 0; i < n; i++)
        for (long j = 0; j < m; j++) {
            float total = 0.0f;
            for (long k = 0; k < dims; k++) {
                float difference = mean1[i * dims + k] - mean2[j * dims + k];
                float variance = var1[i * dims + k] + var2[j * dims + k];
                total += difference * difference / variance + logf(variance);
            }
            out[i * m + j] = -0.5f * total;
        }
}
