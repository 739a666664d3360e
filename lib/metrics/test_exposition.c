#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/exposition.h"

static void
expect(struct pst_exposition *x, const char *text)
{
	cr_assert_not(x->failed);
	cr_assert_eq(x->len, strlen(text), "%.*s", (int)x->len, x->text);
	cr_assert_eq(memcmp(x->text, text, x->len), 0, "%.*s", (int)x->len, x->text);
	pst_exposition_fini(x);
}

Test(exposition, a_metric_and_its_samples)
{
	struct pst_exposition x = {0};

	pst_exposition_metric(&x, "a_total", PST_METRIC_COUNTER, "What.");
	pst_exposition_u64(&x, UINT64_MAX, NULL);
	pst_exposition_u64(&x, 0, "l", "v", NULL);
	pst_exposition_metric(&x, "b", PST_METRIC_GAUGE, "Which.");
	pst_exposition_i64(&x, INT64_MIN, "l", "v", "m", "w", NULL);
	expect(&x, "# HELP a_total What.\n# TYPE a_total counter\n"
		   "a_total 18446744073709551615\na_total{l=\"v\"} 0\n"
		   "# HELP b Which.\n# TYPE b gauge\nb{l=\"v\",m=\"w\"} -9223372036854775808\n");
}

Test(exposition, foreign_bytes_are_escaped)
{
	struct pst_exposition x = {0};

	pst_exposition_metric(&x, "a", PST_METRIC_GAUGE, "one \\ \"two\"\nthree");
	pst_exposition_u64(&x, 1, "l", "x\"y\\z\n\xc3\xa4}", NULL);
	expect(&x, "# HELP a one \\\\ \"two\"\\nthree\n# TYPE a gauge\n"
		   "a{l=\"x\\\"y\\\\z\\n\xc3\xa4}\"} 1\n");
}

Test(exposition, seconds_are_exact)
{
	struct pst_exposition x = {0};

	pst_exposition_metric(&x, "s", PST_METRIC_GAUGE, "S.");
	pst_exposition_seconds(&x, 0, NULL);
	pst_exposition_seconds(&x, 1, NULL);
	pst_exposition_seconds(&x, 1000000000, NULL);
	pst_exposition_seconds(&x, 100000000000, NULL);
	pst_exposition_seconds(&x, 1700000000123456780, NULL);
	pst_exposition_seconds(&x, UINT64_MAX, NULL);
	expect(&x, "# HELP s S.\n# TYPE s gauge\ns 0\ns 0.000000001\ns 1\ns 100\n"
		   "s 1700000000.12345678\ns 18446744073.709551615\n");
}

Test(exposition, parts_of_a_histogram)
{
	struct pst_exposition x = {0};

	pst_exposition_metric(&x, "h", PST_METRIC_HISTOGRAM, "H.");
	pst_exposition_part(&x, "_bucket");
	pst_exposition_u64(&x, 2, "le", "+Inf", NULL);
	pst_exposition_part(&x, "_sum");
	pst_exposition_seconds(&x, 1500000000, NULL);
	pst_exposition_metric(&x, "i", PST_METRIC_GAUGE, "I.");
	pst_exposition_u64(&x, 3, NULL);
	expect(&x, "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1.5\n"
		   "# HELP i I.\n# TYPE i gauge\ni 3\n");
}

Test(exposition, grows)
{
	struct pst_exposition x = {0};
	char *value = malloc(100001);

	memset(value, '"', 100000);
	value[100000] = '\0';
	pst_exposition_metric(&x, "m", PST_METRIC_GAUGE, "M.");
	for (unsigned i = 0; i < 5; i++)
		pst_exposition_u64(&x, i, "l", value, NULL);
	cr_assert_gt(x.len, 5 * 200000u);
	cr_assert_not(x.failed);
	free(value);
	pst_exposition_fini(&x);
}
