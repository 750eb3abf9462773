/* Network devices: what went through them (/proc/net/dev) and how they stand (/sys/class/net). */
#include <stdio.h>

#include "collect/host/host.h"

static void put_traffic(struct host *h, struct str device, struct str rest)
{
	static const char *const names[] = {
		"receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
		"receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
		"transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
		"transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed"};
	for (size_t i = 0; i < HOST_COUNT(names); i++)
		collect_host_device(h, cx_printf(h->cx, "node_network_%s_total", names[i]), device,
				    collect_host_number(&rest));
}

static struct str read_attribute(struct host *h, struct str device, const char *name)
{
	return str_trim(collect_host_sys(
		h, cx_printf(h->cx, "class/net/" STR_FMT "/%s", STR_ARG(device), name)));
}

/* Attributes that the driver refuses to tell (the speed of a device that is down) are absent. */
static void put_attributes(struct host *h, struct str device)
{
	static const struct {
		const char *file, *name;
		double factor;
	} numbers[] = {{"addr_assign_type", "node_network_address_assign_type", 1},
		       {"carrier", "node_network_carrier", 1},
		       {"carrier_changes", "node_network_carrier_changes_total", 1},
		       {"carrier_up_count", "node_network_carrier_up_changes_total", 1},
		       {"carrier_down_count", "node_network_carrier_down_changes_total", 1},
		       {"dev_id", "node_network_device_id", 1},
		       {"dormant", "node_network_dormant", 1},
		       {"flags", "node_network_flags", 1},
		       {"ifindex", "node_network_iface_id", 1},
		       {"iflink", "node_network_iface_link", 1},
		       {"link_mode", "node_network_iface_link_mode", 1},
		       {"mtu", "node_network_mtu_bytes", 1},
		       {"name_assign_type", "node_network_name_assign_type", 1},
		       {"netdev_group", "node_network_net_dev_group", 1},
		       {"type", "node_network_protocol_type", 1},
		       {"speed", "node_network_speed_bytes", 1e6 / 8}, /* Mbit/s */
		       {"tx_queue_len", "node_network_transmit_queue_length", 1},
		       {"statistics/rx_nohandler", "node_network_receive_nohandler_total", 1}};
	for (size_t i = 0; i < HOST_COUNT(numbers); i++) {
		double value; /* some are written 0x1003 */
		if (str_to_double(read_attribute(h, device, numbers[i].file), &value))
			collect_host_device(h, numbers[i].name, device, value * numbers[i].factor);
	}
}

static void put_state(struct host *h, struct str device)
{
	static const char *const names[] = {"address", "broadcast", "duplex", "ifalias",
					    "operstate"};
	struct label labels[HOST_COUNT(names) + 1] = {{STR("device"), device}};
	for (size_t i = 0; i < HOST_COUNT(names); i++)
		labels[i + 1] =
			(struct label){str_of(names[i]), read_attribute(h, device, names[i])};
	struct str operating = labels[HOST_COUNT(names)].value;
	if (operating.n == 0) /* no /sys: a container */
		return;
	collect_host_put(h, "node_network_info", labels, HOST_COUNT(labels), 1);
	collect_host_device(h, "node_network_up", device, str_is(operating, "up"));
}

static void put_devices(struct host *h)
{
	struct str text = collect_host_proc(h, "net/dev"), line;
	while (str_split(&text, '\n', &line)) {
		ptrdiff_t colon = str_find(line, STR(":"));
		if (colon < 0)
			continue;
		/* hosts of containers have thousands of devices */
		struct arena_mark mark = arena_mark(h->cx->arena);
		struct str device = str_trim(str_make(line.p, (size_t)colon));
		put_traffic(h, device, str_skip(line, (size_t)colon + 1));
		put_state(h, device);
		put_attributes(h, device);
		arena_rewind(h->cx->arena, mark);
	}
}

static struct str neighbour_device(struct str line)
{
	for (int i = 0; i < 5; i++) /* address, hardware's type, flags, hardware's address, mask */
		(void)collect_host_field(&line);
	return collect_host_field(&line);
}

/* How many of the lines name the device. */
static size_t count_neighbours(struct str lines, struct str device)
{
	struct str line;
	size_t count = 0;
	while (str_split(&lines, '\n', &line))
		count += str_eq(neighbour_device(line), device);
	return count;
}

/* /proc/net/arp is not sorted; a device is counted where it first stands. */
static void put_neighbours(struct host *h)
{
	struct str text = collect_host_proc(h, "net/arp"), line;
	if (!str_split(&text, '\n', &line)) /* the head */
		return;
	struct str all = text;
	while (str_split(&text, '\n', &line)) {
		struct str device = neighbour_device(line);
		struct str before = str_make(all.p, (size_t)(line.p - all.p));
		if (device.n > 0 && count_neighbours(before, device) == 0)
			collect_host_device(h, "node_arp_entries", device,
					    (double)count_neighbours(all, device));
	}
}

void collect_host_devices(struct host *h)
{
	put_devices(h);
	put_neighbours(h);
}
