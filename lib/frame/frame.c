#include "frame/frame.h"

const char *
pst_checksum_name(enum pst_checksum checksum)
{
	static const char *const names[] = {
		[PST_CHECKSUM_STRICT] = "strict",
		[PST_CHECKSUM_LOCAL] = "local",
		[PST_CHECKSUM_NIC] = "nic",
	};
	PST_ASSERT((unsigned)checksum < PST_ARRAY_CNT(names));
	return names[checksum];
}

const char *
pst_frame_verdict_name(enum pst_frame_verdict verdict)
{
	static const char *const names[] = {
#define PST_X(sym, name, class) [PST_FRAME_##sym] = name,
		PST_FRAME_VERDICTS(PST_X)
#undef PST_X
	};
	PST_ASSERT((unsigned)verdict < PST_FRAME_VERDICT_CNT);
	return names[verdict];
}

enum pst_frame_class
pst_frame_verdict_class(enum pst_frame_verdict verdict)
{
	static const uint8_t classes[] = {
#define PST_X(sym, name, class) [PST_FRAME_##sym] = PST_FRAME_CLASS_##class,
		PST_FRAME_VERDICTS(PST_X)
#undef PST_X
	};
	PST_ASSERT((unsigned)verdict < PST_FRAME_VERDICT_CNT);
	return (enum pst_frame_class)classes[verdict];
}
