#include "telemetry/commands.h"

/* Data directories, one on each drive. */
static enum pst_row_fate
fill_drive(struct pst_dict row, void *arg, uint32_t idx)
{
	struct pst_pipeline *pipeline = arg;
	struct pst_drive_row drive;

	pst_pipeline_drive(pipeline, (uint16_t)idx, &drive);
	pst_dict_u64(row, "index", idx);
	pst_dict_string(row, "path", drive.path);
	pst_dict_string(row, "id", drive.info.id);
	pst_dict_string(row, "state", pst_drive_state_name(drive.info.state));
	if (drive.info.error != 0) {
		const char *text = strerrordesc_np(drive.info.error);
		pst_dict_string(row, "error", text ? text : "unknown error");
	}
	pst_dict_u64(row, "partition_cnt", drive.partition_cnt);
	pst_dict_u64(row, "log_bytes", drive.log_bytes);
	pst_dict_u64(row, "space_bytes", drive.space_bytes);
	pst_dict_u64(row, "free_bytes", drive.free_bytes);
	pst_dict_u64(row, "full", drive.fullness.full);
	pst_dict_u64(row, "full_cnt", drive.fullness.full_cnt);
	pst_dict_u64(row, "full_retired_segment_cnt", drive.fullness.retired_segment_cnt);
	pst_dict_u64(row, "full_retired_bytes", drive.fullness.retired_bytes);
	return PST_ROW_ADD;
}

int
pst_serve_drives(struct pst_request *request)
{
	return pst_serve_page(
		request, request->pipeline->profile->data_dir_cnt, fill_drive, request->pipeline);
}
