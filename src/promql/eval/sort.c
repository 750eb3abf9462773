/* Orders as Go's sort.Sort gives them. */
#include <stdlib.h>

#include "promql/eval/eval.h"

#define INSERTION_LIMIT 12 /* as Go's */

static void merge_runs(struct ranked *v, size_t middle, size_t n, struct ranked *spare,
		       bool (*less)(double a, double b))
{
	size_t left = 0, right = middle;
	for (size_t i = 0; i < n; i++) {
		bool take_right =
			left == middle || (right < n && less(v[right].value, v[left].value));
		spare[i] = take_right ? v[right++] : v[left++];
	}
	memcpy(v, spare, n * sizeof(*v));
}

static void sort_stable(struct ranked *v, size_t n, struct ranked *spare,
			bool (*less)(double a, double b))
{
	if (n <= INSERTION_LIMIT) {
		for (size_t i = 1; i < n; i++)
			for (size_t j = i; j > 0 && less(v[j].value, v[j - 1].value); j--) {
				struct ranked swapped = v[j];
				v[j] = v[j - 1];
				v[j - 1] = swapped;
			}
		return;
	}
	sort_stable(v, n / 2, spare, less);
	sort_stable(v + n / 2, n - n / 2, spare, less);
	merge_runs(v, n / 2, n, spare, less);
}

void promql_sort(struct ranked *v, size_t n, bool (*less)(double a, double b))
{
	struct ranked *spare = n > INSERTION_LIMIT ? heap_alloc(n * sizeof(*spare)) : NULL;
	sort_stable(v, n, spare, less);
	free(spare);
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	if (isnan(left) || isnan(right))
		return isnan(right) - isnan(left);
	return (left > right) - (left < right);
}

void promql_sort_values(double *v, size_t n)
{
	if (n > 32) {
		qsort(v, n, sizeof(*v), by_value);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		double value = v[i];
		size_t j = i;
		for (; j > 0 && (isnan(value) ? !isnan(v[j - 1]) : value < v[j - 1]); j--)
			v[j] = v[j - 1];
		v[j] = value;
	}
}
