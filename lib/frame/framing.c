#include "frame/framing.h"

const char *
pst_framing_name(enum pst_framing framing)
{
	static const char *const names[] = {
		[PST_FRAMING_DATAGRAM] = "datagram",
		[PST_FRAMING_LINES] = "lines",
		[PST_FRAMING_MOLD64] = "mold64",
	};
	PST_ASSERT((unsigned)framing < PST_ARRAY_CNT(names));
	return names[framing];
}
