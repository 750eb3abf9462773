/* Jobs and targets against a sink that remembers: jobs that vanish while they run, what a
 * configuration discovers, relabels, drops and takes over. Pages have a test of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "collect/pool.h"
#include "unit/collect/memory.h"

#define BUDGET_BYTES (1 << 20)

static struct arena arena;
static struct cx cx;
static struct memory memory;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, BUDGET_BYTES);
	cx_init(&cx, &arena, clock_real());
	memset(&memory, 0, sizeof(memory));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

/* ---- jobs ---- */

static void stop(struct loop_timer *timer, void *owner)
{
	(void)timer;
	loop_stop(owner);
}

/* The plan's magic is the manual's own, so these plans are compiled, not made up. */
static struct plan *host_plan(void)
{
	struct manual_input input = {.document_path = "manual.md",
				     .document = manual_embedded_document(),
				     .site_path = "site.yaml",
				     .site = manual_embedded_site()};
	struct diagnostics diagnostics = {0};
	struct plan *plan = NULL;
	struct arena room;
	struct cx c;
	arena_init(&room, 64 << 20);
	cx_init(&c, &room, clock_real());
	assert_int_equal(manual_compile(&c, &input, &diagnostics, &plan), RC_OK);
	arena_release(&room);
	return plan;
}

/* A job without a component is allowed by the plan's header; meeting it again must not crash. */
static void jobs_without_a_component_are_compared(void **state)
{
	(void)state;
	struct loop *loop;
	struct http_client *client;
	struct collect *collect;
	assert_int_equal(loop_open(&cx, clock_real(), &loop), RC_OK);
	assert_int_equal(http_client_open(&cx, loop, &client), RC_OK);
	struct collect_options options = {
		.loop = loop, .client = client, .sink = memory_sink(&memory)};
	assert_int_equal(collect_open(&cx, &options, &collect), RC_OK);
	struct plan *plan = host_plan();
	struct collect_job job = {.kind = JOB_SCRAPE,
				  .name = "plain",
				  .instance = "127.0.0.1:1",
				  .url = "http://127.0.0.1:1/metrics",
				  .interval = {3600000},
				  .timeout = {1000}};
	struct collect_job *jobs = plan->jobs;
	size_t count = plan->job_count;
	plan->jobs = &job;
	plan->job_count = 1;
	assert_int_equal(collect_set_plan(&cx, collect, plan), RC_OK);
	assert_int_equal(collect_set_plan(&cx, collect, plan), RC_OK);
	http_client_close(&client);
	collect_close(&collect);
	plan->jobs = jobs;
	plan->job_count = count;
	plan_unref(&plan);
	loop_close(&loop);
}

struct stage {
	struct loop *loop;
	struct collect *collect;
	struct plan *empty;
	struct loop_timer poll, end;
	char directory[64], pipe[80];
};

static void look(void *context, const struct collect_target *target)
{
	(void)target;
	(*(size_t *)context)++;
}

/* Takes the jobs away while the host's first run is on its worker: it reads a pipe that nobody has
 * written to yet. */
static void drop_jobs(struct loop_timer *timer, void *owner)
{
	struct stage *stage = owner;
	struct loop_stats stats;
	loop_stats(stage->loop, &stats);
	if (stats.jobs_posted[LOOP_IO] == 0) {
		loop_timer_after(stage->loop, timer, (struct dur){1});
		return;
	}
	struct cx c;
	struct arena room;
	arena_init(&room, BUDGET_BYTES);
	cx_init(&c, &room, clock_real());
	assert_int_equal(collect_set_plan(&c, stage->collect, stage->empty), RC_OK);
	arena_release(&room);
	int writer = open(stage->pipe, O_WRONLY | O_CLOEXEC);
	assert_true(writer >= 0);
	close(writer);
	stage->end.fire = stop;
	stage->end.owner = stage->loop;
	loop_timer_after(stage->loop, &stage->end, (struct dur){0});
}

static void a_job_that_vanished_while_running_ends_cleanly(void **state)
{
	(void)state;
	struct stage stage = {.directory = "/tmp/collect-test-XXXXXX"};
	struct http_client *client;
	struct plan *plan = host_plan();
	size_t left = 0;
	assert_non_null(mkdtemp(stage.directory));
	snprintf(stage.pipe, sizeof(stage.pipe), "%s/stat", stage.directory);
	assert_int_equal(mkfifo(stage.pipe, 0600), 0);
	assert_int_equal(loop_open(&cx, clock_real(), &stage.loop), RC_OK);
	assert_int_equal(http_client_open(&cx, stage.loop, &client), RC_OK);
	struct collect_options options = {.loop = stage.loop,
					  .client = client,
					  .sink = memory_sink(&memory),
					  .proc_path = stage.directory};
	assert_int_equal(collect_open(&cx, &options, &stage.collect), RC_OK);
	struct collect_job host = {.kind = JOB_HOST,
				   .name = "node",
				   .instance = "here",
				   .interval = {3600000},
				   .timeout = {1000}};
	struct collect_job *jobs = plan->jobs;
	size_t count = plan->job_count;
	plan->jobs = &host;
	plan->job_count = 1;
	assert_int_equal(collect_set_plan(&cx, stage.collect, plan), RC_OK);
	plan->job_count = 0;
	stage.empty = plan;
	stage.poll.fire = drop_jobs;
	stage.poll.owner = &stage;
	loop_timer_after(stage.loop, &stage.poll, (struct dur){1});
	loop_run(stage.loop);
	collect_each_target(stage.collect, look, &left);
	assert_int_equal(left, 0);
	http_client_close(&client);
	collect_close(&stage.collect);
	assert_null(memory_last(&memory,
				"up{instance=\"here\", job=\"node\"}")); /* nothing after its end */
	plan->jobs = jobs;
	plan->job_count = count;
	plan_unref(&plan);
	loop_close(&stage.loop);
	unlink(stage.pipe);
	rmdir(stage.directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jobs_without_a_component_are_compared, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_job_that_vanished_while_running_ends_cleanly,
						set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
