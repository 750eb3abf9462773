/* The fault table of the store. A dry run of its life counts the steps it takes on the disk; then,
 * for each of them and each way to strike, the life is run anew until that step, and what the disk
 * holds afterwards is opened and compared with the model. Each run has a process of its own.
 *
 *   store_fault_test [--long]             all of it: TAP, and the table
 *   store_fault_test MODE STRIKE STEP SEED  one run, as a failure names it */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "life.h"

#define WORKERS 2
#define FAILURES_SHOWN 12

enum mode { SYNC_EACH, SYNC_GROUP, MODES };
static const char *const mode_names[] = {"each", "group"};

struct run {
	enum mode mode;
	enum strike strike;
	uint64_t at, seed;
};

/* Of one run; shared with its processes. */
struct shared {
	struct disk_record disk;
	struct life_record life;
};

struct failure {
	struct run run;
	enum file_op op;
	char problem[512];
};

/* Of all runs of one strike in one mode; shared with the workers. */
struct result {
	unsigned runs, struck, stopped, failed;
	unsigned by_op[FILE_OPS];
	struct failure failures[FAILURES_SHOWN];
};

static bool is_long, is_loud;
static char scratch[128];

static void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return memory;
}

static void be_quiet(void)
{
	int fd = open("/dev/null", O_WRONLY);
	if (!is_loud && fd >= 0)
		dup2(fd, STDERR_FILENO);
}

/* ---- one run ---- */

static void make_directory(char out[192], const char *name)
{
	snprintf(out, 192, "%s/%d-%s", scratch, (int)getpid(), name);
	if (mkdir(out, 0700) != 0) {
		perror(out);
		exit(2);
	}
}

static void remove_directory(const char *path)
{
	char command[256];
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command) != 0)
		exit(2);
}

static int in_process(struct shared *shared, const struct run *run,
		      const struct life_options *options, const char *stash, bool checks)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		be_quiet();
		if (checks) {
			life_check(&shared->life, options,
				   disk_strike_loses_power(run->strike) ? LIFE_DURABLE
									: LIFE_WRITTEN);
		} else {
			disk_start(&shared->disk, stash, run->strike, run->at, run->seed);
			life_run(&shared->life, options);
			file_hook_set(NULL);
		}
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void ended_badly(struct shared *shared, const char *what, int code)
{
	if (shared->life.problem[0] == '\0')
		snprintf(shared->life.problem, sizeof(shared->life.problem),
			 "%s ended with %d in act %u", what, code, shared->life.act);
}

static void run_one(struct shared *shared, const struct run *run)
{
	char directory[192], stash[192], store[208];
	memset(shared, 0, sizeof(*shared));
	make_directory(directory, "data");
	make_directory(stash, "stash");
	snprintf(store, sizeof(store), "%s/store", directory);
	struct life_options options = {.directory = store,
				       .sync_each = run->mode == SYNC_EACH,
				       .lose_power = run->strike == STRIKE_UNSYNCED,
				       .heal = disk_heal,
				       .power_loss = disk_lose_power};
	int code = in_process(shared, run, &options, stash, false);
	bool ends = run->strike == STRIKE_UNSYNCED ||
		    (disk_strike_kills(run->strike) && shared->disk.struck);
	if (code != (ends ? DISK_KILLED : 0))
		ended_badly(shared, "the life", code);
	code = in_process(shared, run, &options, stash, true);
	if (code != 0)
		ended_badly(shared, "the check", code);
	if (!is_loud) {
		remove_directory(directory);
		remove_directory(stash);
	}
}

/* ---- all runs of one strike ---- */

/* Every step for kills; every so many for the rest, unless all are wanted. */
static bool wanted(enum strike strike, uint64_t at, uint64_t offset)
{
	bool all = is_long || strike == STRIKE_KILL || strike == STRIKE_POWER ||
		   strike == STRIKE_KILL_HALF;
	return all || at % 4 == offset % 4;
}

static void note(struct result *result, const struct shared *shared, const struct run *run,
		 enum file_op op)
{
	__atomic_add_fetch(&result->runs, 1, __ATOMIC_SEQ_CST);
	if (shared->disk.struck)
		__atomic_add_fetch(&result->struck, 1, __ATOMIC_SEQ_CST);
	if (shared->life.stopped)
		__atomic_add_fetch(&result->stopped, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&result->by_op[op], 1, __ATOMIC_SEQ_CST);
	if (shared->life.problem[0] == '\0')
		return;
	unsigned place = __atomic_fetch_add(&result->failed, 1, __ATOMIC_SEQ_CST);
	if (place >= FAILURES_SHOWN)
		return;
	result->failures[place] = (struct failure){.run = *run, .op = op};
	memcpy(result->failures[place].problem, shared->life.problem, sizeof(shared->life.problem));
}

static void work(struct result *result, const struct disk_record *dry, struct run run,
		 unsigned worker)
{
	struct shared *shared = shared_memory(sizeof(*shared));
	uint64_t seeds = is_long && disk_strike_loses_power(run.strike) ? 4 : 1, base = run.seed;
	for (run.at = 1; run.at <= dry->steps && run.at < DISK_STEPS; run.at++) {
		enum file_op op = dry->ops[run.at];
		if (run.at % WORKERS != worker || !disk_strike_concerns(run.strike, op) ||
		    !wanted(run.strike, run.at / WORKERS, base))
			continue;
		for (uint64_t s = 0; s < seeds; s++) {
			run.seed = base + s;
			run_one(shared, &run);
			note(result, shared, &run, op);
		}
	}
}

static struct result *strike_all(const struct disk_record *dry, struct run run)
{
	struct result *result = shared_memory(sizeof(*result));
	fflush(NULL);
	for (unsigned worker = 0; worker < WORKERS; worker++)
		if (fork() == 0) {
			work(result, dry, run, worker);
			_exit(0);
		}
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		int status;
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			result->failed++;
	}
	return result;
}

/* ---- what is told ---- */

static void tell(unsigned number, const struct run *run, const struct result *result)
{
	printf("%sok %u - %s a step, sync %s: %u struck of %u, %u times ingestion was stopped, %u "
	       "wrong\n",
	       result->failed > 0 ? "not " : "", number, disk_strike_name(run->strike),
	       run->mode == SYNC_EACH ? "at each commit" : "by the group", result->struck,
	       result->runs, result->stopped, result->failed);
	printf("#  ");
	for (int op = 0; op < FILE_OPS; op++)
		if (result->by_op[op] > 0)
			printf(" %s %u", file_op_name((enum file_op)op), result->by_op[op]);
	printf("\n");
	for (unsigned i = 0; i < result->failed && i < FAILURES_SHOWN; i++) {
		const struct failure *f = &result->failures[i];
		printf("#   store_fault_test %s %d %llu %llu (%s): %s\n", mode_names[f->run.mode],
		       (int)f->run.strike, (unsigned long long)f->run.at,
		       (unsigned long long)f->run.seed, file_op_name(f->op), f->problem);
	}
	fflush(stdout);
}

static unsigned all_of_mode(enum mode mode, unsigned *number, uint64_t seed)
{
	struct shared *dry = shared_memory(sizeof(*dry));
	struct run run = {mode, STRIKE_NONE, 0, seed};
	unsigned failed = 0;
	run_one(dry, &run);
	bool fine = dry->life.problem[0] == '\0' && dry->disk.steps < DISK_STEPS;
	printf("%sok %u - the life without faults, sync %s: %llu steps %s\n", fine ? "" : "not ",
	       ++*number, mode_names[mode], (unsigned long long)dry->disk.steps, dry->life.problem);
	for (int strike = STRIKE_NONE + 1; fine && strike < STRIKES; strike++) {
		run.strike = (enum strike)strike;
		struct result *result = strike_all(&dry->disk, run);
		tell(++*number, &run, result);
		failed += result->failed;
	}
	return failed + !fine;
}

static int one(char **words)
{
	struct shared *shared = shared_memory(sizeof(*shared));
	struct run run = {strcmp(words[0], "group") == 0 ? SYNC_GROUP : SYNC_EACH,
			  (enum strike)atoi(words[1]), strtoull(words[2], NULL, 10),
			  strtoull(words[3], NULL, 10)};
	is_loud = true;
	run_one(shared, &run);
	printf("%s step %s: %s\n", disk_strike_name(run.strike),
	       file_op_name((enum file_op)shared->disk.ops[run.at]),
	       shared->life.problem[0] == '\0' ? "fine" : shared->life.problem);
	printf("left in %s\n", scratch);
	return shared->life.problem[0] == '\0' ? 0 : 1;
}

int main(int argc, char **argv)
{
	unsigned number = 0, failed = 0;
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(scratch, sizeof(scratch), "%s/backline-fault-XXXXXX", base);
	if (mkdtemp(scratch) == NULL) {
		perror(scratch);
		return 2;
	}
	if (argc == 5)
		return one(argv + 1);
	is_long = argc == 2 && strcmp(argv[1], "--long") == 0;
	uint64_t seed = (uint64_t)clock_wall(clock_real()).ms;
	for (int mode = 0; mode < MODES; mode++)
		failed += all_of_mode((enum mode)mode, &number, seed);
	printf("1..%u\n", number);
	remove_directory(scratch);
	return failed > 0 ? 1 : 0;
}
