#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "telemetry/fake.h"
#include "telemetry/telemetry.h"

static void
start(uint16_t queue_cnt, uint16_t listener_cnt, uint16_t stream_cnt)
{
	fake_eal_start();
	cr_assert_eq(pst_telemetry_register(fake_pipeline(queue_cnt, listener_cnt, stream_cnt)), 0);
}

Test(telemetry, a_thousand_rules_are_complete, .fini = fake_eal_stop)
{
	fake.rule_cnt = 1000;
	fake.rules_generation = 7;
	start(1, 1, 1);

	json_t *list = fake_list("/penstock/rules");
	json_t *items = json_object_get(list, "items");
	cr_assert_eq(json_at(list, "generation"), 7);
	cr_assert_eq(json_array_size(items), 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		json_t *rule = json_array_get(items, i);
		char name[64];
		fake_rule_name(i, name);
		cr_assert_eq(json_at(rule, "id"), i + 100);
		cr_assert_str_eq(text_at(rule, "name"), name);
		cr_assert_eq(json_at(rule, "priority"), -(json_int_t)i);
		cr_assert_eq(json_at(rule, "matched"), i);
		cr_assert_eq(json_at(rule, "decided"), i / 2);
		cr_assert_str_eq(text_at(rule, "stream"), "stream.0");
	}
}
