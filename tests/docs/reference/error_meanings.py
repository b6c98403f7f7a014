"""What each error code means, and what to do about it: the words of docs/reference/ERRORS.md."""

from billing.auth.act_as import ActAsRefusal
from tests.docs.reference.source_codes import find_codes
from valuecanvas.core.errors import (
    GatewayError,
    NotFound,
    NotPermitted,
    Unavailable,
)

# Texts in the place of a code that are none: parts of one, names of fields, and the type
# that OpenAI's error event has.
NO_CODES = {
    "_not_found",
    "error_code",
    "errorcode",
    "status_code",
    "statuscode",
    "server_error",
}
# Codes that no literal names beside its error.
COMPOSED: dict[str, set[type[GatewayError]]] = {
    **{refusal.value: {NotPermitted} for refusal in ActAsRefusal},
    "batch_not_found": {NotFound},
    "journal_unavailable": {Unavailable},
}
MEANINGS = """
abandoned | The request was left before it was answered. | Send it again.
address_not_allowed | `/metrics` and health are read from an address that may not. | METRICS_NETWORKS, or METRICS_TOKEN.
ambiguous_customer | Several teams have a customer of this name. | Choose one by its team.
anonymous_user | The token is of an anonymous user. | Sign in, or JWT_ALLOW_ANONYMOUS.
api_key_expired | The key's time is over. | A new key, or rotate this one.
api_key_revoked | Somebody revoked the key. | A new key.
batch_cancelled | The batch was cancelled before this line was answered. | Submit the line again.
batch_ended | The batch has ended and cannot be cancelled. | Read its results.
batch_expired | The batch's window was over before this line was answered. | Submit the line again.
batch_not_found | The caller has no such batch. | List the batches.
budget_exceeded | A budget is spent, or what is held for requests under way fills it. | Wait for its reset, ask for fewer tokens, or have it raised.
callback_in_use | Open jobs or batches will call this URL. | Cancel them first, or wait.
callback_not_found | The caller has no such callback URL. | List them.
cancelled | The job was cancelled. | Submit it again.
conflict | Somebody else changed it meanwhile. | Read it again, then decide.
customer_not_found | There is no such customer. | Its user id, and its team if it has one.
customer_suspended | The customer is suspended. | An operator can resume it.
deadline_passed | The job's deadline passed before it was answered. | A later deadline.
duplicate_custom_id | Two lines of a batch have the same `custom_id`. | Name each line once.
empty_file | The upload has no content, or no name. | Send `file` with both.
experiment_not_found | The prompt has no such experiment. | List its experiments.
file_in_use | A batch needs the file. | Wait until the batch has ended, or cancel it.
file_storage_full | The caller's files have no more room. | Delete files.
flag_not_found | There is no such flag. | List the flags.
headers_too_large | The request's head has more than 64 KB. | Smaller headers.
idempotency_answer_not_kept | The first request with this key was answered, but its answer was too large to be kept. | A new key, to carry it out again.
idempotency_key_in_use | The first request with this key is under way. | Wait a second.
idempotency_key_reused | The key was used with another body. | A new key.
insufficient_quota | The day's requests of the tier are used up. | Wait until 00:00 UTC, or a higher tier.
internal_error | A fault of the gateway. | Quote the request id to the operators.
invalid_api_key | The key is not known. | Copy it whole; it was shown once.
invalid_http | Two programs could read this request's head in two ways. | What the message says.
invalid_json | The body is no JSON object, or nested too deeply. | Valid JSON.
invalid_method | A line of a batch is not a POST. | `"method": "POST"`.
invalid_prompt_variable | A prompt's variable does not match its schema. | What the message says.
invalid_prompt_variables | Variables of the prompt are missing or unknown. | The variables that the message names.
invalid_request | A field is missing or wrong: `param` names it. | What the message says.
invalid_token | The bearer token is not valid here. | A token of JWT_ISSUER; for `/metrics` METRICS_TOKEN.
invalid_type | A field has another JSON type than it must. | What the message says.
invalid_upload | The body is no multipart upload. | multipart/form-data, as the SDKs send it.
invalid_value | A field's value is none of those that it takes. | What the message says.
job_not_answered | The job ended without an answer. | Its error says why; retry it.
job_not_finished | The job's answer is not there yet. | Wait for its state, or its events.
job_not_found | The caller has no such job. | List the jobs.
job_not_retryable | The job is in no state to be retried. | What the message says.
journal_unavailable | The disk of the web process takes no more. | Try again; operators free some space.
label_conflict | Somebody else moved the label meanwhile. | Read it again, then decide.
label_protected | The label is protected from this caller. | Whoever may move it.
ledger_unavailable | The database takes no requests now: money never fails open. | Try again after Retry-After.
malformed_reply | The provider's answer could not be read. | Try again; see Failed attempts.
method_not_allowed | The path does not know this method. | Those of the header Allow.
missing_api_key | No key came with the request. | `Authorization: Bearer KEY`.
missing_required_parameter | A field is missing: `param` names it. | Send it.
missing_scope | The key lacks a scope: the message names it. | A key with it.
model_not_allowed | The key may not use this model. | Another model, or the key's list of models.
model_not_found | There is no such model, or the key may not use it. | `GET /v1/models`.
model_unpriced | The model has no price, and LLM_UNPRICED is `block`. | Operators add a price.
no_provider_available | Every route of the model failed or is held open. | Try again after Retry-After; see Circuit breakers.
no_route | No enabled route serves the model. | Operators enable a route.
no_tier | The customer's tier is gone. | Operators give it a tier.
not_found | There is nothing at this path or by this id. | See `/api/docs`.
not_taken_by_model | The model does not take such input. | Another model, or leave the input out.
other_team | The named user is of another team than the key. | A key of that team.
overloaded | The process has as much under way as it may. | Try again after Retry-After; more processes.
permission_denied | The key or person may not do this. | Its scopes or rights.
process_died | The gateway's process ended while the request was under way: in the ledger only. | Nothing: it is settled.
prompt_archived | The prompt is no longer in use. | Another prompt, or restore it.
prompt_broken | The published version of the prompt cannot be rendered. | Roll it back.
prompt_label_not_found | No version of the prompt has this label. | List its labels.
prompt_not_found | There is no such prompt. | List the prompts.
prompt_too_long | The prompt with its variables is too long. | Shorter variables.
prompt_version_not_found | The prompt has no such version. | List its versions.
providers_throttled | Every provider of the model asks us to slow down. | Try again after Retry-After.
rate_limit_exceeded | Too many requests or tokens in this minute, or at once. | Try again after Retry-After.
recent_login_required | This needs a log-in of the last minutes. | Log in again.
request_in_progress | Feedback came before the answer had ended. | Send it once the answer is whole.
request_not_found | The caller has no such request. | The id of x-request-id.
request_timeout | The head or the body did not arrive in time. | A better line, or a smaller body.
request_too_large | The body has more bytes than it may. | A smaller body, or LLM_MAX_BODY_BYTES.
rollout_conflict | The rollout is no longer as expected. | Read it again, then decide.
rollout_not_found | No rollout of the prompt is under way. | Start one.
run_not_found | There is no such run of chaos. | List the runs.
scope_frozen | The key's issuer may not give this scope any more. | An operator takes the key over.
second_factor_required | The account has no second factor yet. | Add one under Your account.
server_shutdown | The process ends. | Send it again: another one answers.
service_unavailable | A part that is needed does not answer now. | Try again after Retry-After.
stream_interrupted | The provider broke off its answer, or it took too long. | Try again.
token_expired | The token's time is over. | A new token.
too_many_failures | Many wrong keys came from the caller's address. | Wait as Retry-After says.
too_many_jobs | The customer has as many open jobs as it may. | Wait until some have ended.
too_many_watchers | As many streams of events are open as may be. | Ask for the job instead.
unknown_host | The server does not answer to the name in `Host`. | ALLOWED_HOSTS.
unknown_path | There is nothing at this path. | The base URL ends in `/v1`.
unprocessable | The request is well formed, but cannot be carried out. | What the message says.
unreadable | The job's body can no longer be read. | Submit it again.
unsupported_media_type | The body is of a type that the path does not take. | `Content-Type: application/json`.
unsupported_parameter | The field is not supported here. | Leave it out.
upstream_error | The provider failed. | Try again; see Failed attempts.
upstream_timeout | The provider was too slow. | Try again; operators can raise the model's limits of time.
url_mismatch | A line's `url` is not the batch's endpoint. | The same endpoint in each line.
user_has_jwt | The named user signs in by bearer token. | The scope `act_as_jwt`, or a team.
user_has_key | The named user has an API key. | That user's own key, or a team.
version_conflict | Somebody saved another version meanwhile. | Read it, then save again.
websocket_unsupported | The request asks for a WebSocket. | Plain HTTP.
worker_stopped | The worker of the job was stopped: another one goes on. | Nothing.
wrong_endpoint | The model does not serve this endpoint. | Another model or endpoint.
"""


def meanings() -> dict[str, tuple[str, str]]:
    """The meaning and the remedy of each code."""
    rows = (line.split(" | ") for line in MEANINGS.strip().splitlines())
    return {code: (meaning, remedy) for code, meaning, remedy in rows}


def sent_codes() -> dict[str, set[type[GatewayError]]]:
    """Every code that goes out or into the ledger, and the errors that carry it."""
    found = find_codes() | COMPOSED
    return {code: found[code] for code in sorted(found.keys() - NO_CODES)}
