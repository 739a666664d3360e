#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "telemetry/fake.h"
#include "telemetry/reply.h"

TestSuite(reply, .fini = fake_eal_stop, .timeout = 60);

/* What the library prints for a reply that build made. */
static int (*build)(struct pst_reply *reply, struct pst_dict top);
static uint32_t measured;

static int
on_test(const char *cmd, const char *params, struct rte_tel_data *data)
{
	struct pst_reply reply;
	struct pst_dict top = pst_reply_init(&reply, data);
	int rc = build(&reply, top);
	measured = reply.bytes;
	return rc;
}

static char *
printed(int (*fn)(struct pst_reply *reply, struct pst_dict top))
{
	static char buf[32768];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	static bool started;

	if (!started) {
		fake_eal_start();
		cr_assert_eq(rte_telemetry_register_cmd("/t", on_test, "of a test"), 0);
		started = true;
	}
	build = fn;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	cr_assert_eq(pst_client_path("telemetry", address.sun_path, sizeof(address.sun_path)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_gt(recv(fd, buf, sizeof(buf), 0), 0);
	cr_assert_eq(send(fd, "/t", 2, 0), 2);
	ssize_t len = recv(fd, buf, sizeof(buf) - 1, 0);
	cr_assert_gt(len, 0);
	buf[len] = '\0';
	close(fd);
	return buf;
}

static int
build_every_kind(struct pst_reply *reply, struct pst_dict top)
{
	char wide[300];
	memset(wide, 'x', sizeof(wide));
	pst_dict_u64(top, "zero", 0);
	pst_dict_u64(top, "most", INT64_MAX);
	pst_dict_u64(top, "more", (uint64_t)INT64_MAX + 1);
	pst_dict_i64(top, "least", INT64_MIN);
	pst_dict_i32(top, "small", INT32_MIN);
	pst_dict_string(top, "text", "a\"\n");
	pst_dict_text(top, "fits", wide, 127);
	pst_dict_text(top, "long", wide, 128);
	struct pst_dict inner = pst_dict_dict(pst_dict_dict(top, "a"), "b");
	pst_dict_u64(inner, "c", 1);
	struct rte_tel_data *strings = pst_dict_strings(top, "list");
	pst_strings_add(reply, strings, "one");
	pst_strings_add(reply, strings, "two\x80");
	return pst_reply_finish(reply);
}

Test(reply, every_kind_of_value_arrives)
{
	char want[1024], wide[128];
	memset(wide, 'x', 127);
	wide[127] = '\0';
	snprintf(want, sizeof(want),
		"{\"/t\":{\"zero\":0,\"most\":9223372036854775807,\"more\":\"9223372036854775808\","
		"\"least\":\"-9223372036854775808\",\"small\":-2147483648,\"text\":\"a%%22%%0A\","
		"\"fits\":\"%s\",\"long_pieces\":[\"%s\",\"x\"],\"a\":{\"b\":{\"c\":1}},"
		"\"list\":[\"one\",\"two%%80\"]}}",
		wide, wide);
	cr_assert_str_eq(printed(build_every_kind), want);
	/* The measure is never short, and long by a comma for each dictionary or array at most. */
	size_t body = strlen(want) - strlen("{\"/t\":}");
	cr_assert(measured >= body && measured <= body + 5, "%u, not %zu", measured, body);
}

static int
build_too_much(struct pst_reply *reply, struct pst_dict top)
{
	char text[120], name[16];
	memset(text, 'y', sizeof(text));
	for (unsigned i = 0; i < 140; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		pst_dict_text(pst_dict_dict(top, name), "text", text, sizeof(text));
	}
	return pst_reply_finish(reply);
}

static int
build_too_many(struct pst_reply *reply, struct pst_dict top)
{
	for (unsigned i = 0; i < 257; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%u", i);
		pst_dict_u64(top, name, i);
	}
	return pst_reply_finish(reply);
}

static int
build_bad_name(struct pst_reply *reply, struct pst_dict top)
{
	pst_dict_u64(pst_dict_dict(top, "good"), "not.good", 1);
	return pst_reply_finish(reply);
}

static int
build_long_item(struct pst_reply *reply, struct pst_dict top)
{
	char text[129];
	memset(text, 'z', 128);
	text[128] = '\0';
	pst_strings_add(reply, pst_dict_strings(top, "list"), text);
	return pst_reply_finish(reply);
}

Test(reply, what_does_not_fit_whole_is_an_error_not_a_part)
{
	const char *error = "{\"/t\":{\"error\":\"the reply does not fit the telemetry socket\"}}";
	cr_assert_str_eq(printed(build_too_much), error);
	cr_assert_str_eq(printed(build_too_many), error);
	cr_assert_str_eq(printed(build_bad_name), error);
	cr_assert_str_eq(printed(build_long_item), error);
}

/* Rows of the width given, until one does not fit. */
static uint32_t row_cnt;
static size_t row_width;

static int
build_rows(struct pst_reply *reply, struct pst_dict top)
{
	char text[PST_REPLY_TEXT_MAX];
	memset(text, 'r', sizeof(text));
	struct pst_dict items = pst_dict_dict(top, "items");
	for (row_cnt = 0;; row_cnt++) {
		struct pst_row row = pst_row_begin(reply);
		pst_dict_text(pst_dict_dict(row.dict, "inner"), "text", text, row_width);
		if (row_cnt == 3 && row_width == 0)
			pst_row_drop(&row);
		else if (!pst_row_end(&row, items, row_cnt))
			break;
	}
	return pst_reply_finish(reply);
}

Test(reply, a_page_takes_rows_until_the_next_does_not_fit)
{
	for (row_width = 1; row_width <= PST_REPLY_TEXT_MAX; row_width += 7) {
		json_t *json = json_loads(printed(build_rows), 0, NULL);
		json_t *items = json_object_get(json_object_get(json, "/t"), "items"), *row;
		const char *name;
		uint32_t cnt = 0;
		cr_assert_not_null(json, "width %zu", row_width);
		json_object_foreach(items, name, row)
		{
			json_t *inner = json_object_get(row, "inner");
			cr_assert_eq(json_object_size(inner), 1);
			cnt++;
		}
		cr_assert_eq(cnt, row_cnt, "width %zu: %u of %u", row_width, cnt, row_cnt);
		cr_assert_gt(cnt, 0);
		json_decref(json);
	}
}

Test(reply, a_dropped_row_leaves_no_trace)
{
	row_width = 0;
	json_t *json = json_loads(printed(build_rows), 0, NULL);
	json_t *items = json_object_get(json_object_get(json, "/t"), "items");
	cr_assert_null(json_object_get(items, "3"));
	cr_assert_not_null(json_object_get(items, "4"));
	cr_assert_eq(json_object_size(items), 256, "the library's limit ends the page");
}
