"""What a user does with the unmodified ``fts3`` client; run as a program, prints one JSON object.

A process of its own: the client and M2Crypto warn of their own age.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import fts3.rest.client.easy as fts
from fts3.rest.client import Submitter, exceptions


def refusal(call: Any, *arguments: Any, **named: Any) -> str:  # noqa: ANN401  # the client has no types
    try:
        call(*arguments, **named)
    except exceptions.FTS3ClientException as error:
        return type(error).__name__
    return ""


def main() -> None:
    task = json.loads(sys.stdin.read())
    context = fts.Context(task["url"], ucert=task["proxy"], ukey=task["proxy"], verify=True)
    boss = fts.Context(task["url"], ucert=task["boss"], ukey=task["boss"], verify=True)
    source, other = task["sources"]
    there = task["directory"]
    found: dict[str, Any] = {"about": context.get_endpoint_info(), "whoami": fts.whoami(context)}

    one = fts.new_job([fts.new_transfer(source, f"{there}/by-fts3-0")])
    found["without delegation"] = refusal(Submitter(context).submit, one["files"], params=one["params"])
    found["delegation id"] = fts.delegate(context)
    found["submitted"] = fts.submit(
        context,
        fts.new_job([fts.new_transfer(source, f"{there}/by-fts3-1")], verify_checksum=True, metadata="mine"),
    )
    bulk = [fts.new_transfer(source, f"{there}/by-fts3-bulk-{number}") for number in range(10)]
    found["bulk"] = fts.submit(context, fts.new_job(bulk, priority=5))
    several = fts.new_transfer(f"{other}-missing", f"{there}/by-fts3-several")
    several["sources"].append(source)
    found["several"] = fts.submit(context, fts.new_job([several]))
    sid = {"sid": "only-once", "id_generator": fts.JobIdGenerator.deterministic}
    found["deterministic"] = fts.submit(
        context, fts.new_job([fts.new_transfer(source, f"{there}/by-fts3-2")], **sid)
    )
    found["twice"] = refusal(fts.submit, context, fts.new_job(bulk, **sid))
    ever = ["SUBMITTED", "READY", "ACTIVE", "FINISHED"]  # by itself it lists what has not ended
    found["listed"] = [job["job_id"] for job in fts.list_jobs(context, state_in=ever)]
    found["unknown"] = refusal(fts.get_job_status, context, "5d4c3b2a-0000-0000-0000-000000000000")
    found["local"] = refusal(
        fts.submit, context, fts.new_job([fts.new_transfer("file:///etc/passwd", source)])
    )

    found["ban by a user"] = refusal(fts.ban_se, context, task["storage"])
    fts.ban_se(boss, task["unused storage"], status="wait", timeout=3600)
    to_banned = fts.new_job([fts.new_transfer(source, f"{task['unused storage']}/x")])
    found["to a banned storage"] = refusal(fts.submit, context, to_banned)
    fts.unban_se(boss, task["unused storage"])
    found["priority"] = fts.submit(context, fts.new_job([fts.new_transfer(source, f"{there}/by-fts3-3")]))
    found["canceled"] = fts.cancel(context, found["priority"])
    print(json.dumps(found))  # it is a program


if __name__ == "__main__":
    main()
