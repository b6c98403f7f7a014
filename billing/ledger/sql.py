"""The statements of the group commit, prepared once a connection.

The columns of both JSON documents are named here and nowhere else.
"""

# A statement that fails is logged with all that is written into it, and an error with
# the row that it is about.
LIMIT_LOGGING = "SET log_min_error_statement = panic; SET log_error_verbosity = terse"
GRANT = (
    "GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO its_role"
)

LOCK = """
PREPARE vc_lock (text[]) AS
SELECT key, used, spent, reserved
FROM billing_counter WHERE key = ANY($1) ORDER BY key FOR UPDATE
"""

# Read once the locks are held: the configuration or the day may have changed during the
# wait for them.
NOW = """
PREPARE vc_now AS SELECT value, clock_timestamp() FROM core_epoch WHERE id = 1
"""

# New counter rows are inserted in a transaction before the batch's: inside it, waiting
# for them while holding locks could deadlock.
FIRST_SEEN = """
INSERT INTO billing_counter (key, scope, scope_id, day, used, spent, reserved)
SELECT key, split_part(key, ':', 1), substr(key, 3, length(key) - 13),
       right(key, 10)::date, 0, 0, 0
FROM unnest(%s::text[]) AS key ORDER BY key
ON CONFLICT DO NOTHING
"""

# Spent and reserved of each scope from a first day until yesterday.
HISTORY = """
SELECT w.scope, w.first, coalesce((
    SELECT sum(spent + reserved) FROM billing_counter
    WHERE scope = left(w.scope, 1) AND scope_id = substr(w.scope, 3)
      AND day >= w.first AND day < %(today)s), 0)
FROM unnest(%(scopes)s::text[], %(firsts)s::date[]) AS w (scope, first)
"""

CLAIMS = """
SELECT id, fingerprint, request_id, done FROM billing_idempotency WHERE id = ANY(%s) AND expires_at > now()
"""

_USAGE = {
    "id": "uuid",
    "user_id": "text",
    "customer_id": "uuid",
    "key": "text",
    "team": "text",
    "model": "text",
    "provider": "text",
    "upstream_model": "text",
    "endpoint": "text",
    "prompt_tokens": "bigint",
    "completion_tokens": "bigint",
    "cached_tokens": "bigint",
    "cache_write_tokens": "bigint",
    "cost_usd": "numeric",
    "provider_cost_usd": "numeric",
    "saved_usd": "numeric",
    "cached": "boolean",
    "status": "text",
    "error_code": "text",
    "latency_ms": "int",
    "ttft_ms": "int",
    "attempts": "smallint",
    "epoch": "bigint",
    "trace_id": "text",
    "source": "text",
    "marks": "text[]",
    "day": "date",
}
# Columns that not every request has: end user, job, prompt, flags. Type and default.
_CHOSEN = {
    "end_user": ("text", "''"),
    "job": ("text", "''"),
    "prompt_key": ("text", "''"),
    "prompt_version": ("int", "NULL"),
    "variant": ("text", "''"),
    "subject": ("bigint", "NULL"),
    "flags": ("jsonb", "'{}'"),
    "tags": ("text[]", "NULL"),
}
CHOSEN = tuple(_CHOSEN)
_NAMES = ", ".join([*_USAGE, *_CHOSEN])
_VALUES = ", ".join(
    [*_USAGE, *(f"coalesce({name}, {other})" for name, (_, other) in _CHOSEN.items())]
)
_TYPES = ", ".join(
    f"{name} {kind}"
    for name, kind in [
        *_USAGE.items(),
        *((n, kind) for n, (kind, _) in _CHOSEN.items()),
    ]
)

# Columns that a correction does not copy from the row that it corrects.
_UNDONE = {
    "id": "x.correction",
    "prompt_tokens": "0",
    "completion_tokens": "0",
    "cached_tokens": "0",
    "cached": "false",
    "saved_usd": "-u.saved_usd",
    "status": "'correction'",
    "latency_ms": "0",
    "source": "'gateway'",
    "marks": "'{refunded}'",
}
_COPIED = ", ".join(_UNDONE.get(name, f"u.{name}") for name in [*_USAGE, *_CHOSEN])

# Leaves no row, but needs all that a write needs: a row, WAL, a commit.
PROBE = """
BEGIN;
INSERT INTO billing_idempotency
    (id, customer_id, fingerprint, request_id, done, created_at, expires_at)
VALUES (%(id)s, %(id)s, '', %(id)s, false, now(), now());
DELETE FROM billing_idempotency WHERE id = %(id)s::text;
COMMIT
"""

_CORRECTIONS = f"""
    INSERT INTO llm_usage ({_NAMES}, created_at, corrects)
    SELECT {_COPIED}, now(), u.id
    FROM json_to_recordset($1->'undone') AS x (id uuid, correction uuid)
    JOIN llm_usage u ON u.id = x.id
    WHERE NOT EXISTS (SELECT FROM llm_usage_corrected c WHERE c.id = u.id)
    RETURNING corrects AS id, day
"""  # noqa: S608 - the names are constants of this file
_NO_CORRECTIONS = "SELECT NULL::uuid AS id, NULL::date AS day WHERE false"


def _write(name: str, undone: str) -> str:
    # The day comes from the reservation: it may be undone after midnight.
    # The names are constants of this file, never input.
    return f"""
PREPARE {name} (json) AS
WITH gone AS (
    DELETE FROM billing_reservation
    WHERE id IN (SELECT e::uuid FROM json_array_elements_text($1->'ended') e)
    RETURNING id, day
), held AS (
    INSERT INTO billing_reservation
        (id, customer_id, team, key, day, estimate, lease_until, epoch, facts, created_at)
    SELECT id, customer_id, team, key, day, estimate,
           now() + lease_s * interval '1 second', epoch, facts, now()
    FROM json_to_recordset($1->'held') AS h (
        id uuid, customer_id uuid, team text, key text, day date, estimate bigint,
        lease_s float, epoch bigint, facts jsonb)
), billed AS (
    INSERT INTO llm_usage ({_NAMES}, created_at)
    SELECT {_VALUES}, now()
    FROM json_to_recordset($1->'billed') AS u ({_TYPES}, direct boolean)
    WHERE u.id IN (SELECT id FROM gone)
), noted AS (
    INSERT INTO llm_usage ({_NAMES}, created_at)
    SELECT {_VALUES}, now()
    FROM json_to_recordset($1->'billed') AS u ({_TYPES}, direct boolean)
    WHERE u.direct
    ON CONFLICT (id) DO NOTHING
), undone AS (
    {undone}
), ended AS (
    SELECT id, day FROM gone UNION ALL SELECT id, day FROM undone
), claimed AS (
    -- The customer's counter row is locked, so a row that is here has expired.
    INSERT INTO billing_idempotency (id, customer_id, fingerprint, request_id, done,
        status, headers, body, created_at, expires_at)
    SELECT id, customer_id, fingerprint, request_id, done,
        status, headers, decode(body, 'base64'), now(), now() + interval '24 hours'
    FROM json_to_recordset($1->'claimed') AS i (
        id text, customer_id uuid, fingerprint text, request_id uuid, done boolean,
        status smallint, headers jsonb, body text)
    ON CONFLICT (id) DO UPDATE SET
        customer_id = excluded.customer_id, fingerprint = excluded.fingerprint,
        request_id = excluded.request_id, done = excluded.done,
        status = excluded.status, headers = excluded.headers, body = excluded.body,
        created_at = excluded.created_at, expires_at = excluded.expires_at
), kept AS (
    UPDATE billing_idempotency c
    SET done = true, status = k.status, headers = k.headers,
        body = decode(k.body, 'base64')
    FROM json_to_recordset($1->'kept') AS k (
        id text, request_id uuid, status smallint, headers jsonb, body text)
    WHERE c.id = k.id AND c.request_id = k.request_id
), freed AS (
    DELETE FROM billing_idempotency c
    USING json_to_recordset($1->'freed') AS f (
        id text, request_id uuid, done boolean)
    WHERE c.id = f.id AND c.request_id = f.request_id AND (f.done OR NOT c.done)
), moved AS (
    UPDATE billing_counter c
    SET used = c.used + d.used, spent = c.spent + d.spent,
        reserved = c.reserved + d.reserved
    FROM (
        SELECT scope || ':' || to_char(coalesce(ended.day, m.day), 'YYYY-MM-DD') AS key,
               sum(used) AS used, sum(spent) AS spent, sum(reserved) AS reserved
        FROM json_to_recordset($1->'moves') AS m (
            reservation uuid, scopes text[], day date,
            used bigint, spent bigint, reserved bigint)
        CROSS JOIN unnest(m.scopes) AS scope
        LEFT JOIN ended ON ended.id = m.reservation
        WHERE m.reservation IS NULL OR ended.id IS NOT NULL
        GROUP BY 1
    ) d
    WHERE c.key = d.key
)
SELECT id FROM gone
"""  # noqa: S608


WRITE = _write("vc_write", _NO_CORRECTIONS)
# Looks into every partition of the ledger, so for batches with something to undo only.
UNDO = _write("vc_undo", _CORRECTIONS)
