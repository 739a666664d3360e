/* A rules file and a pattern file from anywhere: reading and checking, without the compiler, whose
 * run time is what the limits of its process are for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "rules/ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What holds of every draft that was accepted. */
static void
inspect(const struct pst_rules_draft *draft)
{
	uint64_t *bits = calloc(draft->entry_cnt / 64 + 1, sizeof(*bits));

	PST_ASSERT(bits);
	for (uint32_t i = 0; i < draft->entry_cnt; i++) {
		const struct pst_rules_entry *e = &draft->entries[i];
		PST_ASSERT(i == 0 || e[-1].rule.id < e->rule.id);
		PST_ASSERT(e->rule.name && e->rule.pattern && e->rule.listener_mask);
		PST_ASSERT(e->rule.action != PST_RULES_ROUTE ||
			   e->rule.stream_idx < draft->streams.cnt);
		PST_ASSERT(e->rule.action != PST_RULES_SAMPLE || e->rule.sample_n > 0);
		PST_ASSERT(!(e->hs_flags & (HS_FLAG_UTF8 | HS_FLAG_UCP | HS_FLAG_COMBINATION)));
		bits[i / 64] |= (uint64_t)(i % 3 == 0) << (i % 64);
	}
	for (uint32_t i = 0; i < draft->combinations.cnt; i++)
		pst_combination_holds(&draft->combinations, i, bits);
	free(bits);
}

static void
read_rules_file(const uint8_t *data, size_t size, const struct pst_rules_env *env)
{
	struct pst_rules_draft draft = {0};
	struct pst_diag diag;
	char path[64];
	int fd = memfd_create("rules", MFD_CLOEXEC);

	PST_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (pst_rules_draft_load(&draft, path, env, &diag) == 0)
		inspect(&draft);
	else
		PST_ASSERT(diag.text[0] && diag.file[0]);
	pst_rules_draft_fini(&draft);
	close(fd);
}

static void
read_pattern_file(const uint8_t *data, size_t size)
{
	char *paths[] = {strdup("patterns.txt")};
	struct pst_rules_draft draft = {.path = "rules.yaml"};
	const struct pst_rules_entry model = {.id_base = 1000};
	struct pst_diag diag;

	draft.include_paths = malloc(sizeof(paths));
	PST_ASSERT(draft.include_paths);
	memcpy(draft.include_paths, paths, sizeof(paths));
	draft.include_cnt = 1;
	if (pst_rules_include_read(&draft, 0, (const char *)data, size, &model, &diag) != 0)
		PST_ASSERT(diag.text[0] && diag.line > 0);
	pst_rules_draft_fini(&draft);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"syslog", "alerts"};
	const struct pst_rules_env open = {0}, closed = {.listener_names = names,
						       .listener_cnt = 1,
						       .stream_names = names,
						       .stream_cnt = 2};

	read_rules_file(data, size, &open);
	read_rules_file(data, size, &closed);
	read_pattern_file(data, size);
	return 0;
}
