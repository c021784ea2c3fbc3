"""The steps of the demo: what a person would do, with the commands a person would type, and the figures of each.

Every step is the real thing. A step that does not do what it should raises `DemoFailed`, which ends the demo; what only
makes a figure worse ends up in the closing table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from . import inject, look
from .load import failures, longest_call
from .state import Demo
from .world import Answer, DemoFailed

#: A call may begin to wait a moment after the command says it is done: it still counts as the switch's.
_AFTER_SWITCH_SECONDS = 0.5

# --- before ---------------------------------------------------------------------------------------------------------


def start_postgres(demo: Demo) -> str:
    (version,) = demo.world.query("SHOW server_version")[0]
    return f"embedded, version {version}, in {demo.directory}"


def old_data(demo: Demo) -> str:
    """The app creates its file and fills it, in a process of its own, as it did before anybody thought of moving."""
    program = (
        "from shadow.demo.app import database, seed\n"
        "database.init_database()\ndatabase.run_migrations()\nprint(seed.seed())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **demo.world.environment, "DEMO_SQLITE_MODULE": "stdlib"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise DemoFailed(f"the app could not make its file: {done.stderr.strip().splitlines()[-1]}")
    return f"{int(done.stdout):,} rows in {demo.world.sqlite_path}"


def start_load(demo: Demo) -> str:
    """The app's processes with our module in them, before `init`: plain SQLite."""
    load = demo.load
    load.wait_started()
    since = time.time()
    load.run()
    demo.live(4)
    before = load.totals()
    seconds = time.time() - since
    demo.figures.longest_call_before_ms = longest_call(load.logs, since, time.time()).ms
    return (
        f"{load.processes} processes, {before['writes'] / seconds:.0f} writes/s,"
        f" {before['reads'] / seconds:.0f} reads/s, longest call {demo.figures.longest_call_before_ms:.0f} ms"
    )


# --- shadowing ------------------------------------------------------------------------------------------------------


def init(demo: Demo) -> str:
    answer = demo.world.shadow("init")
    return f"journal and schema in {answer.seconds:.1f} s, the app working"


def start_agent(demo: Demo) -> str:
    started = time.perf_counter()
    demo.world.start_agent()
    return f"{demo.world.url}, up in {time.perf_counter() - started:.1f} s"


def backfill(demo: Demo) -> str:
    answer = demo.world.shadow("backfill")
    counted = demo.world.query(
        "SELECT coalesce(sum(rows_copied), 0)::bigint, count(*) FROM shadow.backfill WHERE pair = %s", demo.world.schema
    )
    demo.figures.backfilled_rows = int(counted[0][0])
    seconds = look.wait_no_lag(demo, 60)
    return f"{counted[0][0]:,} rows of {counted[0][1]} tables in {answer.seconds:.1f} s, no lag {seconds:.1f} s later"


def deploy(demo: Demo) -> str:
    """The app's next release brings ALTER TABLE while it is being shadowed."""
    applied = demo.load.deploy()
    if not applied:
        raise DemoFailed("the app's new release had nothing to migrate")
    seconds = look.wait_no_lag(demo, 60)
    columns = demo.world.query(
        "SELECT count(*) FROM information_schema.columns"
        " WHERE table_schema = %s AND column_name IN ('rating', 'is_shared')",
        demo.world.schema,
    )
    if columns[0][0] != 2:
        raise DemoFailed("the app's ALTER TABLE did not reach PostgreSQL")
    return f"migration {applied[0]} under load, in PostgreSQL {seconds:.1f} s later"


def shadowing(demo: Demo) -> str:
    demo.live(6)
    seconds = look.wait_no_lag(demo, 60)
    compared, mismatched, not_comparable = look.reads(demo)
    found = f"{compared:,} reads compared, {mismatched} differ, {not_comparable} not comparable"
    return f"{found}; no lag after {seconds:.1f} s"


# --- divergences ----------------------------------------------------------------------------------------------------


def injections(demo: Demo) -> str:
    """Changed, missing and extra row, by hand; the comparison of reads finds them by itself."""
    with demo.world.target() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        demo.injected_since = (cursor.fetchone() or (None,))[0]
        inject.inject(cursor, demo.world.schema)
    demo.figures.injected_divergences = len(inject.INJECTIONS)
    started = time.perf_counter()
    demo.world.wait_for("the reads that differ", lambda: look.found_by_reads(demo) == inject.TABLES, 60)
    demo.figures.found_by_reads = len(look.found_by_reads(demo))
    return f"all {len(inject.INJECTIONS)} found by compared reads in {time.perf_counter() - started:.1f} s"


def repair(demo: Demo) -> str:
    """`verify` names the three rows, `mismatches` shows both results, `verify --repair` mends them."""
    found = demo.world.shadow("verify", allowed=(1,))
    demo.figures.found_divergences = look.differences(found)
    shown = demo.world.shadow("mismatches", allowed=(1,))
    for one in shown.json["mismatches"][:3]:
        demo.note(f"{' '.join(one['sql'].split())[:100]}")
        demo.note(f"    SQLite {look.short(one['origin_result'])}\n    PostgreSQL {look.short(one['target_result'])}")
    mended = demo.world.shadow("verify", "--repair", allowed=(0, 1))
    demo.figures.repaired_rows = look.repaired(mended)
    if look.differences(mended):  # it compares again after it has mended
        raise DemoFailed(f"after the repair {look.differences(mended)} rows differ")
    demo.world.wait_for("no open mismatch", lambda: not look.open_mismatches(demo), 30)
    demo.injected_until = demo.world.query("SELECT clock_timestamp()")[0][0]
    return (
        f"{demo.figures.found_divergences} rows found in {found.seconds:.1f} s, {demo.figures.repaired_rows} repaired"
        f" in {mended.seconds:.1f} s, then 0 different"
    )


# --- faults ---------------------------------------------------------------------------------------------------------


def kill_agent(demo: Demo) -> str:
    demo.world.kill_agent()
    demo.live(3)
    behind = look.lag(demo)
    demo.world.start_agent()
    demo.figures.catch_up_after_agent_kill_seconds = look.wait_no_lag(demo, 60)
    seconds = demo.figures.catch_up_after_agent_kill_seconds
    return f"{behind:,} transactions behind, caught up {seconds:.1f} s after the start"


def restart_postgres(demo: Demo) -> str:
    demo.world.postgres.stop()
    demo.live(3)
    demo.world.postgres.start()
    behind = look.lag(demo)
    demo.figures.catch_up_after_postgres_stop_seconds = look.wait_no_lag(demo, 60)
    errors = sum(failures(demo.load.logs).values())
    return (
        f"{behind:,} transactions behind, caught up in {demo.figures.catch_up_after_postgres_stop_seconds:.1f} s;"
        f" the app saw {errors} errors"
    )


def cover(demo: Demo) -> str:
    """Go on until enough was compared, and every shape of statement under the present proof."""

    def covered() -> bool:
        compared, _, _ = look.reads(demo)
        closed = look.closed_gates(demo)
        return compared >= demo.reads_compared_min and "coverage" not in closed

    demo.world.wait_for("every statement shape to be compared", covered, 90)
    compared, mismatched, not_comparable = look.reads(demo)
    return f"{compared:,} reads compared, {not_comparable} not comparable, {mismatched} differed (three were injected)"


def verify_clean(demo: Demo) -> str:
    answer = demo.world.shadow("verify")
    return f"0 rows different, in {answer.seconds:.1f} s, the app working"


# --- the flag -------------------------------------------------------------------------------------------------------


def cutover(demo: Demo) -> str:
    answer = demo.world.shadow("cutover", "--reason", "demo")
    return switched(demo, answer, "cutover")


def cutover_again(demo: Demo) -> str:
    demo.world.wait_for("the gates to open again", lambda: not look.closed_gates(demo), 90)
    return cutover(demo)


def rollback(demo: Demo) -> str:
    answer = demo.world.shadow("rollback", "--reason", "demo")
    return switched(demo, answer, "rollback")


def switched(demo: Demo, answer: Answer, direction: str) -> str:
    """What the app saw of a switch: the longest call of any client around it, from the clients' own books."""
    time.sleep(_AFTER_SWITCH_SECONDS)
    until = answer.until + _AFTER_SWITCH_SECONDS
    longest = longest_call(demo.load.logs, answer.since, until)
    usual = longest_call(demo.load.logs, 2 * answer.since - until, answer.since, ended=True)
    usual_ms = max(usual.ms, demo.figures.longest_call_before_ms)  # on the one side or the other
    fence_ms = float(answer.json["fence_seconds"]) * 1000
    figures = demo.figures
    if direction == "cutover":
        figures.cutovers += 1
        if longest.ms > figures.cutover_pause_ms:
            figures.cutover_pause_ms, figures.cutover_usual_ms = longest.ms, usual_ms
        figures.cutover_fence_ms = max(figures.cutover_fence_ms, fence_ms)
    else:
        figures.rollbacks += 1
        figures.rollback_pause_ms, figures.rollback_usual_ms = longest.ms, usual_ms
        figures.rollback_fence_ms = max(figures.rollback_fence_ms, fence_ms)
    errors = sum(failures(demo.load.logs).values())
    return (
        f"primary is {answer.json['primary']}; the app's longest call {longest.ms:.0f} ms ({longest.op}; without a"
        f" switch {usual_ms:.0f}), fence {fence_ms:.0f} ms, {errors} errors"
    )


def on_postgres(demo: Demo) -> str:
    return work_on(demo, 6)


def on_sqlite(demo: Demo) -> str:
    return work_on(demo, 4)


def work_on(demo: Demo, seconds: float) -> str:
    before, since = demo.load.totals(), time.time()
    demo.live(seconds)
    after, elapsed = demo.load.totals(), time.time() - since
    done = {key: (after[key] - before[key]) / elapsed for key in after}
    errors = sum(failures(demo.load.logs).values())
    return f"{done['writes']:.0f} writes/s, {done['reads']:.0f} reads/s, {errors} errors"


# --- the end --------------------------------------------------------------------------------------------------------


def drain(demo: Demo) -> str:
    """The clients stop; what PostgreSQL has flows back into SQLite until nothing is left."""
    demo.load.pause()
    started = time.perf_counter()

    def flowed_back() -> bool:
        return look.reverse_pending(demo) == 0

    demo.world.wait_for("the changes to flow back into SQLite", flowed_back, 30)
    return f"everything is back in SQLite after {time.perf_counter() - started:.1f} s"


def final_verify(demo: Demo) -> str:
    answer = demo.world.shadow("verify", allowed=(0, 1))
    return f"{look.differences(answer)} rows different"


def judge(demo: Demo) -> str:
    """A program of its own, by path: it cannot import shadow."""
    world = demo.world
    command = [sys.executable, "-P", str(Path(__file__).with_name("judge.py")), "--sqlite", str(world.sqlite_path)]
    command += ["--dsn", world.postgres.dsn, "--schema", world.schema, *map(str, demo.load.logs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    (world.logs / "judge.json").write_text(done.stdout)
    if done.returncode not in (0, 1):
        raise DemoFailed(f"the judge could not judge: {(done.stdout + done.stderr).strip()[-300:]}")
    verdict = json.loads(done.stdout)
    figures = demo.figures
    figures.writes = verdict["writes_acknowledged"]
    figures.lost_writes = verdict["lost"] + verdict["wrong"]
    figures.doubled_writes = verdict["doubled"]
    figures.writes_in_doubt = verdict["writes_in_doubt"]
    figures.rows_compared_at_end = verdict["rows_compared"]
    figures.rows_different_at_end = verdict["rows_different"]
    figures.judge_complaints = verdict["complaints"]
    for complaint in verdict["complaints"][:10]:
        demo.note(complaint)
    for name, table in verdict["tables"].items():
        if table["only_sqlite"] or table["only_postgres"]:
            demo.note(
                f"{name}: {table['only_sqlite']} rows only in SQLite, {table['only_postgres']} only in PostgreSQL"
            )
    return (
        f"{verdict['writes_acknowledged']:,} acknowledged writes, {verdict['lost']} lost, {verdict['doubled']} doubled;"
        f" {verdict['rows_different']} of {verdict['rows_compared']:,} rows different"
    )


def count(demo: Demo) -> None:
    """The figures that are counted over the whole life."""
    figures = demo.figures
    totals = demo.load.totals()
    figures.reads, figures.writes = totals["reads"], max(figures.writes, totals["writes"])
    texts = failures(demo.load.logs)
    figures.app_errors, figures.app_error_texts = sum(texts.values()), dict(texts.most_common(20))
    compared, _, not_comparable = look.reads(demo)
    figures.reads_compared = compared
    figures.not_comparable_percent = 100.0 * not_comparable / max(1, compared + not_comparable)
    shapes = demo.world.query(
        "SELECT count(*), count(*) FILTER (WHERE compared = 0) FROM shadow.shape WHERE pair = %s", demo.world.schema
    )
    figures.shapes, figures.shapes_not_compared = shapes[0]
    false = [row for row in look.mismatches(demo) if not look.explained(demo, row)]
    figures.false_mismatches = len(false)
    for row in false[:5]:
        demo.note(f"false mismatch: {' '.join(row['sql'].split())[:120]}")


def count_what_there_is(demo: Demo) -> None:
    """After a failure: as much as can still be counted."""
    if not demo.has_load:
        return
    texts = failures(demo.load.logs)
    demo.figures.app_errors, demo.figures.app_error_texts = sum(texts.values()), dict(texts.most_common(20))
