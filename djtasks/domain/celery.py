"""What Celery needs and a queue in the database does not; the first pattern that fits says why."""

from __future__ import annotations

# These may stay when a project moves over: without them everything is as they wanted it.
NOT_NEEDED = {
    "RESULT_EXTENDED": "Results always keep the name, the arguments and the worker.",
    "RESULT_(SERIALIZER|ACCEPT_CONTENT|COMPRESSION)": "Results are JSON text; nothing else is ever read from a row.",
    "RESULT_(CHORD|PERSISTENT|EXCHANGE|CACHE).*": "Results are rows, and the last task of a chord starts its body.",
    "(RESULT_BACKEND|CACHE_BACKEND|DATABASE|REDIS|MONGODB|CASSANDRA)(_.*)?": "Results are rows in DATABASE.",
    "(TASK|EVENT)_SERIALIZER|ACCEPT_CONTENT": "Payloads are JSON text; nothing else is ever read from a row.",
    "BROKER_.*|.*VISIBILITY_TIMEOUT": "The broker is a table in DATABASE; workers renew their own leases.",
    "TASK_(COMPRESSION|PROTOCOL)|SECURITY_.*": "A message is a row of your own database.",
    "TASK_(PUBLISH_RETRY.*|DEFAULT_DELIVERY_MODE)": "A message is a row in the caller's transaction.",
    "TASK_DEFAULT_(EXCHANGE.*|ROUTING_KEY|QUEUE_TYPE)": "There are no exchanges: a message names its queue.",
    "TASK_CREATE_MISSING_QUEUE_.*|TASK_QUEUE_.*": "There are no exchanges: a queue is the name that messages carry.",
    "TASK_REMOTE_TRACEBACKS": "Tracebacks always travel, as text: AsyncResult.traceback.",
    "WORKER_(PREFETCH_MULTIPLIER|DISABLE_PREFETCH|ETA_TASK_LIMIT|ENABLE_PREFETCH_.*)": (
        "A worker reserves only what its free slots can run soon, and nothing before it is due."
    ),
    "WORKER_(STATE_DB|ENABLE_REMOTE_CONTROL)|CONTROL_.*": "Commands and revocations are rows that outlive workers.",
    "WORKER_POOL_RESTARTS": "A pool can always be restarted.",
    "WORKER_SEND_TASK_EVENTS|TASK_SEND_SENT_EVENT|EVENT_.*": "There are no events to miss: the admin reads the rows.",
    "WORKER_(LOST_WAIT|CANCEL_LONG_RUNNING.*)": "A lost worker is known by its lease: LEASE_SECONDS.",
    "WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE": "An idle worker holds nothing that it would have to give back.",
    "WORKER_DEDUPLICATE_SUCCESSFUL_TASKS": "A message that has succeeded is gone, so nobody receives it again.",
    "WORKER_(PROC_ALIVE_TIMEOUT|TIMER.*|POOL_PUTLOCKS|CONSUMER|AGENT|AUTOSCALER|DIRECT|DETECT_QUORUM_QUEUES)": (
        "It tunes a part that this worker does not have."
    ),
    "WORKER_HIJACK_ROOT_LOGGER": "A worker adds a handler only where the project has none.",
    "WORKER_REDIRECT_STDOUTS(_LEVEL)?|WORKER_LOG_COLOR": "What tasks print goes where the worker's own output goes.",
    "ENABLE_UTC": "Moments are stored in UTC.",
    "BEAT_(SCHEDULER|SCHEDULE_FILENAME|SYNC_EVERY)": "Schedules are rows in DATABASE; run as many beats as you like.",
}

# These must not be passed over: what they ask for is said in another way.
SAID_OTHERWISE = {
    "TASK_ACKS_ON_FAILURE_OR_TIMEOUT": "Say it for each: TASK_ACKS_ON_FAILURE, TASK_ACKS_ON_TIMEOUT.",
}
