#include <string.h>

#include "telemetry/strtok.h"

static _Thread_local char *rest;

const char pst_telemetry_strtok_linked = 1;

char *
strtok(char *restrict text, const char *restrict delimiters)
{
	return strtok_r(text, delimiters, &rest);
}
