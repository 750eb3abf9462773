/* Disks and mounted file systems. What upstream's node_exporter leaves out by default is left out.
 */
#include <mntent.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "collect/host/host.h"
#include "sys/file.h"

/* node_exporter leaves these out: ram, loop, partitions. */
static bool disk_ignored(struct str name)
{
	bool digit = name.n > 0 && name.p[name.n - 1] >= '0' && name.p[name.n - 1] <= '9';
	if (str_starts(name, STR("ram")) || str_starts(name, STR("loop")) ||
	    str_starts(name, STR("fd")))
		return true;
	if (str_starts(name, STR("nvme")))
		return memchr(name.p, 'p', name.n) != NULL;
	return digit && (str_starts(name, STR("sd")) || str_starts(name, STR("vd")) ||
			 str_starts(name, STR("hd")) || str_starts(name, STR("xvd")));
}

static void put_disks(struct host *h)
{
	static const struct {
		const char *name;
		double factor;
	} fields[] = {{"node_disk_reads_completed_total", 1},
		      {"node_disk_reads_merged_total", 1},
		      {"node_disk_read_bytes_total", 512},
		      {"node_disk_read_time_seconds_total", 0.001},
		      {"node_disk_writes_completed_total", 1},
		      {"node_disk_writes_merged_total", 1},
		      {"node_disk_written_bytes_total", 512},
		      {"node_disk_write_time_seconds_total", 0.001},
		      {"node_disk_io_now", 1},
		      {"node_disk_io_time_seconds_total", 0.001},
		      {"node_disk_io_time_weighted_seconds_total", 0.001},
		      {"node_disk_discards_completed_total", 1},
		      {"node_disk_discards_merged_total", 1},
		      {"node_disk_discarded_sectors_total", 1},
		      {"node_disk_discard_time_seconds_total", 0.001},
		      {"node_disk_flush_requests_total", 1},
		      {"node_disk_flush_requests_time_seconds_total", 0.001}};
	struct str text = collect_host_proc(h, "diskstats"), line;
	while (str_split(&text, '\n', &line)) {
		(void)collect_host_number(&line); /* major, minor */
		(void)collect_host_number(&line);
		struct str device = collect_host_field(&line);
		if (device.n == 0 || disk_ignored(device))
			continue;
		for (size_t i = 0; i < HOST_COUNT(fields) && str_trim(line).n > 0; i++)
			collect_host_device(h, fields[i].name, device,
					    collect_host_number(&line) * fields[i].factor);
	}
}

static bool filesystem_ignored(const struct mntent *entry)
{
	static const char *const types[] = {
		"autofs",     "binfmt_misc", "bpf",       "cgroup",   "cgroup2",   "configfs",
		"debugfs",    "devpts",      "devtmpfs",  "fusectl",  "hugetlbfs", "iso9660",
		"mqueue",     "nsfs",        "overlay",   "proc",     "procfs",    "pstore",
		"rpc_pipefs", "securityfs",  "selinuxfs", "squashfs", "sysfs",     "tracefs"};
	static const char *const below[] = {"/dev",
					    "/proc",
					    "/sys",
					    "/run/credentials",
					    "/var/lib/docker",
					    "/var/lib/containers/storage"};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(entry->mnt_type, types[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		size_t n = strlen(below[i]);
		if (strncmp(entry->mnt_dir, below[i], n) == 0 &&
		    (entry->mnt_dir[n] == '\0' || entry->mnt_dir[n] == '/'))
			return true;
	}
	return false;
}

static void put_filesystem(struct host *h, const struct mntent *entry, const char *name,
			   double value)
{
	struct label labels[] = {{STR("device"), str_of(entry->mnt_fsname)},
				 {STR("fstype"), str_of(entry->mnt_type)},
				 {STR("mountpoint"), str_of(entry->mnt_dir)}};
	collect_host_put(h, name, labels, HOST_COUNT(labels), value);
}

static bool mounted_before(const struct buf *seen, const char *dir)
{
	struct str rest = buf_str(seen), line;
	while (str_split(&rest, '\n', &line))
		if (str_eq(line, str_of(dir)))
			return true;
	return false;
}

static void put_filesystems(struct host *h)
{
	char *path = file_join(h->cx, h->paths->proc, "1/mounts");
	FILE *mounts = path == NULL ? NULL : setmntent(path, "r");
	struct buf seen = BUF_INIT;
	struct mntent entry;
	char text[8192];
	if (mounts == NULL && (path = file_join(h->cx, h->paths->proc, "self/mounts")) != NULL)
		mounts = setmntent(path, "r");
	while (mounts != NULL && getmntent_r(mounts, &entry, text, sizeof(text)) != NULL) {
		struct statvfs status;
		if (filesystem_ignored(&entry) || mounted_before(&seen, entry.mnt_dir))
			continue;
		buf_printf(&seen, "%s\n", entry.mnt_dir);
		bool failed = statvfs(entry.mnt_dir, &status) != 0;
		put_filesystem(h, &entry, "node_filesystem_device_error", failed);
		if (failed)
			continue;
		double block = (double)status.f_frsize;
		put_filesystem(h, &entry, "node_filesystem_size_bytes",
			       (double)status.f_blocks * block);
		put_filesystem(h, &entry, "node_filesystem_free_bytes",
			       (double)status.f_bfree * block);
		put_filesystem(h, &entry, "node_filesystem_avail_bytes",
			       (double)status.f_bavail * block);
		put_filesystem(h, &entry, "node_filesystem_files", (double)status.f_files);
		put_filesystem(h, &entry, "node_filesystem_files_free", (double)status.f_ffree);
		put_filesystem(h, &entry, "node_filesystem_readonly",
			       hasmntopt(&entry, "ro") != NULL);
	}
	if (mounts != NULL)
		endmntent(mounts);
	buf_release(&seen);
}

void collect_host_storage(struct host *h)
{
	put_disks(h);
	put_filesystems(h);
}
