"""ctypes declarations of headwater.h. Made by scripts/make_python_api.py: do not edit.

Names are those of the header. Pointers to opaque structs and to numbers are `c_void_p`; text that need not end with a
NUL is `c_void_p` too, with its length beside it.
"""
# pyright: reportUninitializedInstanceVariable=false

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

HW_VERSION_MAJOR = 1
HW_VERSION_MINOR = 0
HW_VERSION_PATCH = 0
HW_VERSION = "1.0.0"
HW_ROW_TOLERANCE = 1e-3
HW_N_ALTERNATIVES = 5
HW_BALANCE_LIMIT = 0.06
HW_MAIN_SHARE = 0.2

# enum hw_err
HW_OK = 0
HW_ERR_ARGUMENT = -1
HW_ERR_IO = -2
HW_ERR_FORMAT = -3
HW_ERR_MEMORY = -4
HW_ERR_UNSUPPORTED = -5
HW_ERR_ENGINE = -6
HW_ERR_CANCELLED = -7

# enum hw_log_level
HW_LOG_DEBUG = 0
HW_LOG_INFO = 1
HW_LOG_WARN = 2
HW_LOG_ERROR = 3
HW_LOG_FATAL = 4

# enum hw_fuse
HW_FUSE_MEAN = 0
HW_FUSE_MAX = 1
HW_FUSE_MIN = 2

# enum hw_row_convention
HW_ROW_PREDICTOR = 0
HW_ROW_OWN = 1

# enum hw_direction
HW_DIRECTION_INPUT = 0
HW_DIRECTION_OUTPUT = 1

# enum hw_columns
HW_COLUMNS_PROMPT = 0
HW_COLUMNS_ALL = 1

# enum hw_measure
HW_MEASURE_PROJECTION = 0
HW_MEASURE_NORM = 1
HW_MEASURE_PROXIMITY1 = 2
HW_MEASURE_PROXIMITY2 = 3

# enum hw_aggregate
HW_AGGREGATE_MEAN = 0
HW_AGGREGATE_ROLLOUT = 1

# enum hw_precision
HW_PRECISION_F32 = 0
HW_PRECISION_F16 = 1

# enum hw_role
HW_ROLE_PROMPT = 0
HW_ROLE_COMPLETION = 1
HW_ROLE_SPECIAL = 2
HW_ROLE_TEMPLATE = 3
HW_ROLE_THINKING = 4

# enum hw_row_retention
HW_ROWS_ALL = 0
HW_ROWS_TARGET = 1
HW_ROWS_NONE = 2

# enum hw_stop
HW_STOP_LENGTH = 0
HW_STOP_END = 1
HW_STOP_GIVEN = 2
HW_STOP_CANCELLED = 3

# enum hw_thinking
HW_THINKING_DEFAULT = 0
HW_THINKING_ON = 1
HW_THINKING_OFF = 2

# enum hw_source_kind
HW_SOURCE_ATTENTION = 0
HW_SOURCE_DELTA_NET = 1
HW_SOURCE_STATE_SPACE = 2
HW_SOURCE_CONVOLUTION = 3
HW_N_SOURCE_KINDS = 4

# enum hw_stage
HW_STAGE_LOAD = 0
HW_STAGE_PREFILL = 1
HW_STAGE_DECODE = 2
HW_STAGE_EXPLAIN = 3

# enum hw_signal
HW_SIGNAL_PROJECTION = 0
HW_SIGNAL_NORM = 1
HW_SIGNAL_PROXIMITY1 = 2
HW_SIGNAL_PROXIMITY2 = 3
HW_SIGNAL_LOGIT = 4
HW_SIGNAL_RESIDUAL = 5
HW_SIGNAL_ALL_PROJECTION = 6
HW_SIGNAL_ALL_NORM = 7
HW_SIGNAL_ALL_PROXIMITY1 = 8
HW_SIGNAL_ALL_PROXIMITY2 = 9
HW_N_SIGNALS = 10

# enum hw_side
HW_SIDE_PROMPT = 0
HW_SIDE_COMPLETION = 1

# enum
HW_USES_FUSE = 1
HW_USES_RESIDUAL = 2
HW_USES_DIRECTION = 4
HW_USES_MEASURE = 8
HW_USES_SEED = 16
HW_USES_MODEL = 32
HW_GIVES_SHARES = 64
HW_USES_DISCARD = 128
HW_USES_REMOVE_SINK = 256
HW_USES_AGGREGATE = 512
HW_USES_AGAINST = 1024
HW_USES_ROW = 2048
HW_GIVES_LAYERS = 4096
HW_USES_THROUGH = 8192

# enum hw_setting_type
HW_SETTING_FLAG = 0
HW_SETTING_NUMBER = 1
HW_SETTING_WHOLE = 2
HW_SETTING_WORD = 3
HW_SETTING_TEXT = 4

# enum hw_shown
HW_SHOWN_WHERE_SET = 0
HW_SHOWN_WHERE_USED = 1
HW_SHOWN_ALWAYS = 2

# enum hw_keep
HW_KEEP_RESULTS = 0
HW_KEEP_METHODS = 1
HW_KEEP_ROWS = 2
HW_KEEP_ALL = 3

# enum hw_file_kind
HW_FILE_UNKNOWN = 0
HW_FILE_TRACE = 1
HW_FILE_RESULT = 2
HW_FILE_ATTENTION = 3


class hw_error(Structure):
    code: int
    msg: bytes
    _fields_ = [
        ("code", c_int),
        ("msg", c_char * 1024),
    ]

hw_log_fn = CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class hw_source(Structure):
    block: int
    layer: int
    kind: int
    _fields_ = [
        ("block", c_int32),
        ("layer", c_int32),
        ("kind", c_int),
    ]


class hw_model_info(Structure):
    path: bytes | None
    engine: bytes | None
    engine_version: bytes | None
    architecture: bytes | None
    name: bytes | None
    quantisation: bytes | None
    metadata_sha256: bytes | None
    sample_sha256: bytes | None
    device: bytes | None
    problem: bytes | None
    values_problem: bytes | None
    readout_problem: bytes | None
    recurrent_problem: bytes | None
    layers: int | None
    sources: Any
    n_sources: int
    n_layers: int
    n_blocks: int
    n_heads: int
    n_heads_kv: int
    n_embd: int
    n_vocab: int
    n_ctx_train: int
    n_swa: int
    n_params: int
    n_bytes: int
    adds_bos: bool
    has_chat_template: bool
    has_sinks: bool
    host_rows: bool
    row_error: float
    adapters: bytes | None
    _fields_ = [
        ("path", c_char_p),
        ("engine", c_char_p),
        ("engine_version", c_char_p),
        ("architecture", c_char_p),
        ("name", c_char_p),
        ("quantisation", c_char_p),
        ("metadata_sha256", c_char_p),
        ("sample_sha256", c_char_p),
        ("device", c_char_p),
        ("problem", c_char_p),
        ("values_problem", c_char_p),
        ("readout_problem", c_char_p),
        ("recurrent_problem", c_char_p),
        ("layers", c_void_p),
        ("sources", POINTER(hw_source)),
        ("n_sources", c_int32),
        ("n_layers", c_int32),
        ("n_blocks", c_int32),
        ("n_heads", c_int32),
        ("n_heads_kv", c_int32),
        ("n_embd", c_int32),
        ("n_vocab", c_int32),
        ("n_ctx_train", c_int32),
        ("n_swa", c_int32),
        ("n_params", c_uint64),
        ("n_bytes", c_uint64),
        ("adds_bos", c_bool),
        ("has_chat_template", c_bool),
        ("has_sinks", c_bool),
        ("host_rows", c_bool),
        ("row_error", c_double),
        ("adapters", c_char_p),
    ]

hw_progress_fn = CFUNCTYPE(None, c_void_p, c_int, c_size_t, c_size_t)

hw_stop_fn = CFUNCTYPE(c_bool, c_void_p)


class hw_model_params(Structure):
    size: int
    n_threads: int
    n_gpu_layers: int
    n_ctx: int
    n_ubatch: int
    f32_cache: bool
    progress: Any
    stop: Any
    ctx: int | None
    rpc_servers: bytes | None
    devices: bytes | None
    loras: Any
    n_loras: int
    cache: bytes | None
    _fields_ = [
        ("size", c_size_t),
        ("n_threads", c_int32),
        ("n_gpu_layers", c_int32),
        ("n_ctx", c_int32),
        ("n_ubatch", c_int32),
        ("f32_cache", c_bool),
        ("progress", hw_progress_fn),
        ("stop", hw_stop_fn),
        ("ctx", c_void_p),
        ("rpc_servers", c_char_p),
        ("devices", c_char_p),
        ("loras", POINTER(c_char_p)),
        ("n_loras", c_size_t),
        ("cache", c_char_p),
    ]


class hw_model_file(Structure):
    architecture: bytes
    name: bytes
    quantisation: bytes
    problem: bytes
    n_params: int
    n_bytes: int
    n_files: int
    _fields_ = [
        ("architecture", c_char * 64),
        ("name", c_char * 128),
        ("quantisation", c_char * 64),
        ("problem", c_char * 512),
        ("n_params", c_uint64),
        ("n_bytes", c_uint64),
        ("n_files", c_int32),
    ]


class hw_device(Structure):
    name: bytes | None
    description: bytes | None
    n_bytes: int
    n_bytes_free: int
    takes_blocks: bool
    host: bool
    _fields_ = [
        ("name", c_char_p),
        ("description", c_char_p),
        ("n_bytes", c_uint64),
        ("n_bytes_free", c_uint64),
        ("takes_blocks", c_bool),
        ("host", c_bool),
    ]


class hw_worker_params(Structure):
    size: int
    host: bytes | None
    port: int
    n_threads: int
    devices: bytes | None
    _fields_ = [
        ("size", c_size_t),
        ("host", c_char_p),
        ("port", c_uint16),
        ("n_threads", c_int32),
        ("devices", c_char_p),
    ]


class hw_alternative(Structure):
    bytes: int | None
    n_bytes: int
    id: int
    logprob: float
    _fields_ = [
        ("bytes", c_void_p),
        ("n_bytes", c_size_t),
        ("id", c_int32),
        ("logprob", c_float),
    ]


class hw_token(Structure):
    bytes: int | None
    n_bytes: int
    begin: int
    end: int
    id: int
    role: int
    logprob: float
    n_alternatives: int
    alternatives: Any
    _fields_ = [
        ("bytes", c_void_p),
        ("n_bytes", c_size_t),
        ("begin", c_size_t),
        ("end", c_size_t),
        ("id", c_int32),
        ("role", c_int),
        ("logprob", c_float),
        ("n_alternatives", c_int32),
        ("alternatives", POINTER(hw_alternative)),
    ]


class hw_message(Structure):
    role: bytes | None
    content: int | None
    content_bytes: int
    _fields_ = [
        ("role", c_char_p),
        ("content", c_void_p),
        ("content_bytes", c_size_t),
    ]


class hw_run_params(Structure):
    size: int
    prompt: int | None
    prompt_bytes: int
    completion: int | None
    completion_bytes: int
    n_generate: int
    chat: bool
    temperature: float
    top_k: int
    top_p: float
    seed: int
    fuse: int
    on_token: Any
    progress: Any
    stop: Any
    ctx: int | None
    against: bytes | None
    explainer: int | None
    prefix: int | None
    memory: int
    on_estimate: Any
    saves_state: bool
    messages: Any
    n_messages: int
    chat_template: bytes | None
    thinking: int
    special: bool
    on_prompt: Any
    begun: int | None
    n_begun: int
    _fields_ = [
        ("size", c_size_t),
        ("prompt", c_void_p),
        ("prompt_bytes", c_size_t),
        ("completion", c_void_p),
        ("completion_bytes", c_size_t),
        ("n_generate", c_size_t),
        ("chat", c_bool),
        ("temperature", c_float),
        ("top_k", c_int32),
        ("top_p", c_float),
        ("seed", c_uint32),
        ("fuse", c_int),
        ("on_token", CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)),
        ("progress", hw_progress_fn),
        ("stop", hw_stop_fn),
        ("ctx", c_void_p),
        ("against", c_char_p),
        ("explainer", c_void_p),
        ("prefix", c_void_p),
        ("memory", c_uint64),
        ("on_estimate", CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)),
        ("saves_state", c_bool),
        ("messages", POINTER(hw_message)),
        ("n_messages", c_size_t),
        ("chat_template", c_char_p),
        ("thinking", c_int),
        ("special", c_bool),
        ("on_prompt", CFUNCTYPE(None, c_void_p, c_void_p)),
        ("begun", c_void_p),
        ("n_begun", c_size_t),
    ]


class hw_save_params(Structure):
    size: int
    precision: int
    model: int | None
    _fields_ = [
        ("size", c_size_t),
        ("precision", c_int),
        ("model", c_void_p),
    ]


class hw_span(Structure):
    name: bytes | None
    begin: int
    end: int
    _fields_ = [
        ("name", c_char_p),
        ("begin", c_size_t),
        ("end", c_size_t),
    ]


class hw_segmenter_info(Structure):
    name: bytes | None
    summary: bytes | None
    _fields_ = [
        ("name", c_char_p),
        ("summary", c_char_p),
    ]


class hw_method_info(Structure):
    name: bytes | None
    summary: bytes | None
    needs: bytes | None
    cost: bytes | None
    reference: bytes | None
    limitations: bytes | None
    traits: int
    rows: int
    _fields_ = [
        ("name", c_char_p),
        ("summary", c_char_p),
        ("needs", c_char_p),
        ("cost", c_char_p),
        ("reference", c_char_p),
        ("limitations", c_char_p),
        ("traits", c_uint32),
        ("rows", c_int),
    ]


class hw_method_params(Structure):
    size: int
    row: int
    direction: int
    columns: int
    residual: float
    measure: int
    seed: int
    model: int | None
    n_ablations: int
    groups: int | None
    n_groups: int
    progress: Any
    stop: Any
    ctx: int | None
    residual_measured: bool
    discard: float
    remove_sink: bool
    aggregate: int
    group_names: Any
    through: bool
    _fields_ = [
        ("size", c_size_t),
        ("row", c_int),
        ("direction", c_int),
        ("columns", c_int),
        ("residual", c_double),
        ("measure", c_int),
        ("seed", c_uint64),
        ("model", c_void_p),
        ("n_ablations", c_size_t),
        ("groups", c_void_p),
        ("n_groups", c_size_t),
        ("progress", hw_progress_fn),
        ("stop", hw_stop_fn),
        ("ctx", c_void_p),
        ("residual_measured", c_bool),
        ("discard", c_double),
        ("remove_sink", c_bool),
        ("aggregate", c_int),
        ("group_names", POINTER(c_char_p)),
        ("through", c_bool),
    ]


class hw_setting_info(Structure):
    name: bytes | None
    option: bytes | None
    option_word: bytes | None
    label: bytes | None
    help: bytes | None
    before: bytes | None
    after: bytes | None
    type: int
    shown: int
    uses: int
    min: float
    max: float
    below_max: bool
    words: Any
    default_value: float
    json_text: bool
    optional: bool
    sparse: bool
    transient: bool
    _fields_ = [
        ("name", c_char_p),
        ("option", c_char_p),
        ("option_word", c_char_p),
        ("label", c_char_p),
        ("help", c_char_p),
        ("before", c_char_p),
        ("after", c_char_p),
        ("type", c_int),
        ("shown", c_int),
        ("uses", c_uint32),
        ("min", c_double),
        ("max", c_double),
        ("below_max", c_bool),
        ("words", POINTER(c_char_p)),
        ("default_value", c_double),
        ("json_text", c_bool),
        ("optional", c_bool),
        ("sparse", c_bool),
        ("transient", c_bool),
    ]


class hw_diagnostics(Structure):
    first_mean: float
    first_last: float
    outside_mean: float
    outside_last: float
    position_mean: float
    position_last: float
    _fields_ = [
        ("first_mean", c_double),
        ("first_last", c_double),
        ("outside_mean", c_double),
        ("outside_last", c_double),
        ("position_mean", c_double),
        ("position_last", c_double),
    ]


class hw_explainer_params(Structure):
    size: int
    keep: int
    on_rows: Any
    interval: int
    ctx: int | None
    _fields_ = [
        ("size", c_size_t),
        ("keep", c_int),
        ("on_rows", CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)),
        ("interval", c_size_t),
        ("ctx", c_void_p),
    ]


class hw_balance(Structure):
    prompt: float
    completion: float
    bias: float
    mlp: float
    embedding: float
    logit: float
    _fields_ = [
        ("prompt", c_double),
        ("completion", c_double),
        ("bias", c_double),
        ("mlp", c_double),
        ("embedding", c_double),
        ("logit", c_double),
    ]


class hw_through(Structure):
    prompt: float
    model: float
    prompt_direct: float
    model_direct: float
    raised: float
    gathered: bool
    _fields_ = [
        ("prompt", c_double),
        ("model", c_double),
        ("prompt_direct", c_double),
        ("model_direct", c_double),
        ("raised", c_double),
        ("gathered", c_bool),
    ]


class hw_estimate(Structure):
    n_prompt: int
    n_tokens: int
    n_columns: int
    program: int
    weights: int
    cache: int
    buffers: int
    rows: int
    signals: int
    waiting: int
    methods: int
    state: int
    total: int
    seconds: float
    _fields_ = [
        ("n_prompt", c_size_t),
        ("n_tokens", c_size_t),
        ("n_columns", c_size_t),
        ("program", c_uint64),
        ("weights", c_uint64),
        ("cache", c_uint64),
        ("buffers", c_uint64),
        ("rows", c_uint64),
        ("signals", c_uint64),
        ("waiting", c_uint64),
        ("methods", c_uint64),
        ("state", c_uint64),
        ("total", c_uint64),
        ("seconds", c_double),
    ]


class hw_check_params(Structure):
    size: int
    row_begin: int
    row_end: int
    n_ablations: int
    seed: int
    progress: Any
    stop: Any
    ctx: int | None
    _fields_ = [
        ("size", c_size_t),
        ("row_begin", c_size_t),
        ("row_end", c_size_t),
        ("n_ablations", c_size_t),
        ("seed", c_uint64),
        ("progress", hw_progress_fn),
        ("stop", hw_stop_fn),
        ("ctx", c_void_p),
    ]


class hw_check_row(Structure):
    method: bytes | None
    drop: Any
    comprehensiveness: float
    sufficiency: float
    lds: float
    n_passes: int
    _fields_ = [
        ("method", c_char_p),
        ("drop", c_double * 3),
        ("comprehensiveness", c_double),
        ("sufficiency", c_double),
        ("lds", c_double),
        ("n_passes", c_size_t),
    ]


class hw_check_subject(Structure):
    segments: int | None
    list: Any
    n: int
    _fields_ = [
        ("segments", c_void_p),
        ("list", POINTER(c_void_p)),
        ("n", c_size_t),
    ]


class hw_omission(Structure):
    segments: int | None
    without: int | None
    stop: Any
    ctx: int | None
    _fields_ = [
        ("segments", c_void_p),
        ("without", c_void_p),
        ("stop", hw_stop_fn),
        ("ctx", c_void_p),
    ]


class hw_citation_rule(Structure):
    name: bytes | None
    methods: bytes | None
    shares: bytes | None
    peak: bytes | None
    min_peak: float
    max_peak: float
    through: bool
    _fields_ = [
        ("name", c_char_p),
        ("methods", c_char_p),
        ("shares", c_char_p),
        ("peak", c_char_p),
        ("min_peak", c_double),
        ("max_peak", c_double),
        ("through", c_bool),
    ]


class hw_citation_params(Structure):
    size: int
    min_peak: float
    _fields_ = [
        ("size", c_size_t),
        ("min_peak", c_double),
    ]


class hw_citation_link(Structure):
    score: float
    share: float
    peak: float
    peak_token: int
    marked: bool
    _fields_ = [
        ("score", c_double),
        ("share", c_double),
        ("peak", c_double),
        ("peak_token", c_size_t),
        ("marked", c_bool),
    ]


class hw_citation_elsewhere(Structure):
    rest: float
    answer: float
    model: float
    through: float
    _fields_ = [
        ("rest", c_double),
        ("answer", c_double),
        ("model", c_double),
        ("through", c_double),
    ]


class hw_confirm_params(Structure):
    size: int
    n_passages: int
    progress: Any
    stop: Any
    ctx: int | None
    _fields_ = [
        ("size", c_size_t),
        ("n_passages", c_size_t),
        ("progress", hw_progress_fn),
        ("stop", hw_stop_fn),
        ("ctx", c_void_p),
    ]


class hw_cited(Structure):
    citation: int | None
    passages: int | None
    answer: int | None
    _fields_ = [
        ("citation", c_void_p),
        ("passages", c_void_p),
        ("answer", c_void_p),
    ]


class hw_format_info(Structure):
    name: bytes | None
    extension: bytes | None
    summary: bytes | None
    many: bool
    _fields_ = [
        ("name", c_char_p),
        ("extension", c_char_p),
        ("summary", c_char_p),
        ("many", c_bool),
    ]


class hw_filter_info(Structure):
    name: bytes | None
    summary: bytes | None
    _fields_ = [
        ("name", c_char_p),
        ("summary", c_char_p),
    ]


class hw_view_params(Structure):
    size: int
    row_begin: int
    row_end: int
    layer_begin: int
    layer_end: int
    hide: bytes | None
    keep: bytes | None
    normalise: bool
    lift: bool
    _fields_ = [
        ("size", c_size_t),
        ("row_begin", c_size_t),
        ("row_end", c_size_t),
        ("layer_begin", c_size_t),
        ("layer_end", c_size_t),
        ("hide", c_char_p),
        ("keep", c_char_p),
        ("normalise", c_bool),
        ("lift", c_bool),
    ]


class hw_trace_builder_params(Structure):
    size: int
    n_layers: int
    n_heads: int
    n_prompt: int
    max_tokens: int
    fuse: int
    sinks: bool
    model: bytes | None
    bidirectional: bool
    _fields_ = [
        ("size", c_size_t),
        ("n_layers", c_size_t),
        ("n_heads", c_size_t),
        ("n_prompt", c_size_t),
        ("max_tokens", c_size_t),
        ("fuse", c_int),
        ("sinks", c_bool),
        ("model", c_char_p),
        ("bidirectional", c_bool),
    ]


# name: (result, arguments)
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "hw_version": (c_char_p, []),
    "hw_version_number": (c_uint32, []),
    "hw_err_name": (c_char_p, [c_int]),
    "hw_free": (None, [c_void_p]),
    "hw_blas": (c_char_p, []),
    "hw_log_set": (None, [hw_log_fn, c_void_p]),
    "hw_fuse_name": (c_char_p, [c_int]),
    "hw_row_convention_name": (c_char_p, [c_int]),
    "hw_direction_name": (c_char_p, [c_int]),
    "hw_columns_name": (c_char_p, [c_int]),
    "hw_measure_name": (c_char_p, [c_int]),
    "hw_aggregate_name": (c_char_p, [c_int]),
    "hw_precision_name": (c_char_p, [c_int]),
    "hw_role_name": (c_char_p, [c_int]),
    "hw_stop_name": (c_char_p, [c_int]),
    "hw_row_retention_name": (c_char_p, [c_int]),
    "hw_thinking_name": (c_char_p, [c_int]),
    "hw_fuse_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_row_convention_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_direction_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_columns_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_measure_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_aggregate_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_precision_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_thinking_parse": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_source_kind_name": (c_char_p, [c_int]),
    "hw_stop_by_flag": (c_bool, [c_void_p]),
    "hw_model_params_init": (None, [POINTER(hw_model_params), c_size_t]),
    "hw_model_open": (c_int, [POINTER(c_void_p), c_char_p, POINTER(hw_model_params), POINTER(hw_error)]),
    "hw_model_close": (None, [c_void_p]),
    "hw_model_describe": (POINTER(hw_model_info), [c_void_p]),
    "hw_model_check_chat": (c_int, [c_void_p, c_char_p, POINTER(hw_error)]),
    "hw_model_file_read": (c_int, [POINTER(hw_model_file), c_size_t, c_char_p, POINTER(hw_error)]),
    "hw_device_list_new": (c_int, [POINTER(c_void_p), c_char_p, POINTER(hw_error)]),
    "hw_device_list_free": (None, [c_void_p]),
    "hw_device_list_count": (c_size_t, [c_void_p]),
    "hw_device_list_at": (POINTER(hw_device), [c_void_p, c_size_t]),
    "hw_worker_params_init": (None, [POINTER(hw_worker_params), c_size_t]),
    "hw_worker_run": (c_int, [POINTER(hw_worker_params), POINTER(hw_error)]),
    "hw_run_n_tokens": (c_size_t, [c_void_p]),
    "hw_run_n_prompt": (c_size_t, [c_void_p]),
    "hw_run_n_completion": (c_size_t, [c_void_p]),
    "hw_run_recurrent_share": (c_double, [c_void_p]),
    "hw_run_n_reused": (c_size_t, [c_void_p]),
    "hw_run_token_copy": (None, [POINTER(hw_token), c_size_t, c_void_p, c_size_t]),
    "hw_run_token_text": (c_size_t, [c_void_p, c_size_t, c_void_p, c_size_t]),
    "hw_run_group_text": (c_size_t, [c_void_p, c_size_t, c_void_p, c_void_p, c_size_t, c_int32]),
    "hw_run_prompt": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "hw_run_completion": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "hw_run_model": (POINTER(hw_model_info), [c_void_p]),
    "hw_run_fuse": (c_int, [c_void_p]),
    "hw_run_finish_reason": (c_int, [c_void_p]),
    "hw_run_is_causal": (c_bool, [c_void_p]),
    "hw_run_against": (c_char_p, [c_void_p]),
    "hw_run_n_remarks": (c_size_t, [c_void_p]),
    "hw_run_remark": (c_char_p, [c_void_p, c_size_t]),
    "hw_run_select": (c_int, [POINTER(c_size_t), POINTER(c_size_t), c_void_p, c_char_p, POINTER(hw_error)]),
    "hw_signal_name": (c_char_p, [c_int]),
    "hw_run_params_init": (None, [POINTER(hw_run_params), c_size_t]),
    "hw_trace_capture": (c_int, [POINTER(c_void_p), c_void_p, POINTER(hw_run_params), POINTER(hw_error)]),
    "hw_run_tokenize": (c_int, [POINTER(c_void_p), c_void_p, POINTER(hw_run_params), POINTER(hw_error)]),
    "hw_run_free": (None, [c_void_p]),
    "hw_trace_import": (c_int, [POINTER(c_void_p), c_char_p, c_int, POINTER(hw_error)]),
    "hw_trace_import_bytes": (c_int, [POINTER(c_void_p), c_void_p, c_size_t, c_int, POINTER(hw_error)]),
    "hw_trace_save": (c_int, [c_void_p, c_char_p, POINTER(hw_error)]),
    "hw_save_params_init": (None, [POINTER(hw_save_params), c_size_t]),
    "hw_trace_save_as": (c_int, [c_void_p, c_char_p, POINTER(hw_save_params), POINTER(hw_error)]),
    "hw_trace_to_bytes": (
        c_int,
        [
            POINTER(c_void_p),
            POINTER(c_size_t),
            c_void_p,
            POINTER(hw_save_params),
            POINTER(hw_error),
        ],
    ),
    "hw_trace_rounding": (c_double, [c_void_p, c_int]),
    "hw_state_open": (c_int, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(hw_error)]),
    "hw_state_open_bytes": (c_int, [POINTER(c_void_p), c_void_p, c_void_p, c_size_t, POINTER(hw_error)]),
    "hw_trace_open": (c_int, [POINTER(c_void_p), c_char_p, POINTER(hw_error)]),
    "hw_trace_open_bytes": (c_int, [POINTER(c_void_p), c_void_p, c_size_t, POINTER(hw_error)]),
    "hw_trace_free": (None, [c_void_p]),
    "hw_trace_run": (c_void_p, [c_void_p]),
    "hw_trace_rows": (c_int, [c_void_p]),
    "hw_trace_has": (c_bool, [c_void_p, c_int]),
    "hw_trace_row": (c_void_p, [c_void_p, c_size_t, c_size_t, POINTER(c_size_t)]),
    "hw_run_messages": (POINTER(hw_span), [c_void_p, POINTER(c_size_t)]),
    "hw_segmenter_count": (c_size_t, []),
    "hw_segmenter_at": (POINTER(hw_segmenter_info), [c_size_t]),
    "hw_segments_new": (c_int, [POINTER(c_void_p), c_void_p, c_int, c_char_p, POINTER(hw_error)]),
    "hw_segments_from_spans": (
        c_int,
        [
            POINTER(c_void_p),
            c_void_p,
            c_int,
            POINTER(hw_span),
            c_size_t,
            POINTER(hw_error),
        ],
    ),
    "hw_segments_from_json": (c_int, [POINTER(c_void_p), c_void_p, c_int, c_char_p, c_size_t, POINTER(hw_error)]),
    "hw_segments_free": (None, [c_void_p]),
    "hw_segments_count": (c_size_t, [c_void_p]),
    "hw_segments_at": (POINTER(hw_span), [c_void_p, c_size_t]),
    "hw_segments_groups": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "hw_segments_partition": (c_int, [POINTER(c_void_p), c_void_p, POINTER(hw_error)]),
    "hw_partition_free": (None, [c_void_p]),
    "hw_partition_count": (c_size_t, [c_void_p]),
    "hw_partition_columns": (None, [c_void_p, POINTER(hw_method_params)]),
    "hw_method_count": (c_size_t, []),
    "hw_method_at": (POINTER(hw_method_info), [c_size_t]),
    "hw_method_find": (POINTER(hw_method_info), [c_char_p]),
    "hw_method_problem": (c_char_p, [POINTER(hw_method_info), POINTER(hw_model_info)]),
    "hw_method_params_init": (None, [POINTER(hw_method_params), c_size_t]),
    "hw_setting_count": (c_size_t, []),
    "hw_setting_at": (POINTER(hw_setting_info), [c_size_t]),
    "hw_setting_find": (POINTER(hw_setting_info), [c_char_p]),
    "hw_run_option_count": (c_size_t, []),
    "hw_run_option_at": (POINTER(hw_setting_info), [c_size_t]),
    "hw_run_option_find": (POINTER(hw_setting_info), [c_char_p]),
    "hw_setting_value": (c_double, [c_void_p, POINTER(hw_setting_info)]),
    "hw_setting_set": (c_int, [c_void_p, POINTER(hw_setting_info), c_double, POINTER(hw_error)]),
    "hw_setting_text": (c_void_p, [c_void_p, c_size_t, c_void_p, POINTER(hw_setting_info)]),
    "hw_setting_read": (c_int, [c_void_p, POINTER(hw_setting_info), c_char_p, POINTER(hw_error)]),
    "hw_setting_read_option": (c_int, [POINTER(hw_method_params), c_char_p, c_char_p, POINTER(hw_error)]),
    "hw_setting_accepts": (c_void_p, [c_void_p, c_size_t, POINTER(hw_setting_info)]),
    "hw_method_signals": (c_uint32, [c_char_p, POINTER(hw_method_params)]),
    "hw_method_active_traits": (c_uint32, [POINTER(hw_method_info), POINTER(hw_method_params)]),
    "hw_explain": (c_int, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(hw_method_params), POINTER(hw_error)]),
    "hw_attribution_free": (None, [c_void_p]),
    "hw_attribution_group": (
        c_int,
        [
            POINTER(c_void_p),
            c_void_p,
            c_void_p,
            POINTER(c_char_p),
            c_size_t,
            POINTER(hw_error),
        ],
    ),
    "hw_attribution_run": (c_void_p, [c_void_p]),
    "hw_attribution_method": (c_char_p, [c_void_p]),
    "hw_attribution_params_copy": (None, [POINTER(hw_method_params), c_size_t, c_void_p]),
    "hw_attribution_n_passes": (c_size_t, [c_void_p]),
    "hw_attribution_diagnostics": (POINTER(hw_diagnostics), [c_void_p]),
    "hw_attribution_n_rows": (c_size_t, [c_void_p]),
    "hw_attribution_n_columns": (c_size_t, [c_void_p]),
    "hw_attribution_n_layers": (c_size_t, [c_void_p]),
    "hw_attribution_layers": (c_void_p, [c_void_p]),
    "hw_attribution_values": (c_void_p, [c_void_p]),
    "hw_attribution_outside": (c_void_p, [c_void_p]),
    "hw_explainer_params_init": (None, [POINTER(hw_explainer_params), c_size_t]),
    "hw_explainer_new": (c_int, [POINTER(c_void_p), POINTER(hw_explainer_params), POINTER(hw_error)]),
    "hw_explainer_free": (None, [c_void_p]),
    "hw_explainer_add": (c_int, [c_void_p, c_char_p, POINTER(hw_method_params), POINTER(hw_error)]),
    "hw_explainer_split": (c_int, [c_void_p, c_char_p, c_bool, POINTER(hw_error)]),
    "hw_explainer_split_spans": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_bool, POINTER(hw_error)]),
    "hw_explainer_group": (c_int, [c_void_p, c_size_t, c_void_p, POINTER(hw_error)]),
    "hw_explainer_segments": (c_void_p, [c_void_p]),
    "hw_explainer_result": (c_int, [POINTER(c_void_p), c_void_p, c_size_t, c_void_p, POINTER(hw_error)]),
    "hw_balance_rest": (c_double, [POINTER(hw_balance)]),
    "hw_balance_closes": (c_bool, [POINTER(hw_balance)]),
    "hw_attribution_balance": (POINTER(hw_balance), [c_void_p]),
    "hw_attribution_first_token": (c_size_t, [c_void_p]),
    "hw_attribution_through_rows": (POINTER(hw_through), [c_void_p]),
    "hw_attribution_hop": (c_double, [c_void_p, c_size_t, c_size_t]),
    "hw_attribution_through": (c_int, [POINTER(c_void_p), c_void_p, POINTER(hw_error)]),
    "hw_attribution_append": (c_int, [c_void_p, c_void_p, POINTER(hw_error)]),
    "hw_attribution_select_layers": (
        c_int,
        [
            POINTER(c_size_t),
            POINTER(c_size_t),
            c_void_p,
            c_char_p,
            POINTER(hw_error),
        ],
    ),
    "hw_run_estimate": (c_int, [POINTER(hw_estimate), c_size_t, c_void_p, POINTER(hw_run_params), POINTER(hw_error)]),
    "hw_check_params_init": (None, [POINTER(hw_check_params), c_size_t]),
    "hw_check_new": (
        c_int,
        [
            POINTER(c_void_p),
            c_void_p,
            c_void_p,
            POINTER(hw_check_subject),
            POINTER(hw_check_params),
            POINTER(hw_error),
        ],
    ),
    "hw_check_free": (None, [c_void_p]),
    "hw_check_count": (c_size_t, [c_void_p]),
    "hw_check_at": (POINTER(hw_check_row), [c_void_p, c_size_t]),
    "hw_check_base": (c_double, [c_void_p]),
    "hw_check_n_passes": (c_size_t, [c_void_p]),
    "hw_check_n_masks": (c_size_t, [c_void_p]),
    "hw_check_mask": (c_void_p, [c_void_p, c_size_t, POINTER(c_double)]),
    "hw_check_verdict": (c_char_p, [c_void_p]),
    "hw_run_rewrite": (
        c_int,
        [
            POINTER(c_void_p),
            POINTER(c_size_t),
            c_void_p,
            c_void_p,
            hw_omission,
            POINTER(hw_error),
        ],
    ),
    "hw_citation_rule_count": (c_size_t, []),
    "hw_citation_rule_at": (POINTER(hw_citation_rule), [c_size_t]),
    "hw_citation_rule_of": (POINTER(hw_citation_rule), [c_char_p]),
    "hw_citation_params_init": (None, [POINTER(hw_citation_params), c_size_t]),
    "hw_citation_new": (
        c_int,
        [
            POINTER(c_void_p),
            c_void_p,
            c_void_p,
            c_void_p,
            POINTER(hw_citation_params),
            POINTER(hw_error),
        ],
    ),
    "hw_citation_free": (None, [c_void_p]),
    "hw_citation_n_parts": (c_size_t, [c_void_p]),
    "hw_citation_n_passages": (c_size_t, [c_void_p]),
    "hw_citation_link_copy": (None, [POINTER(hw_citation_link), c_size_t, c_void_p, c_size_t, c_size_t]),
    "hw_citation_elsewhere_copy": (None, [POINTER(hw_citation_elsewhere), c_size_t, c_void_p, c_size_t]),
    "hw_citation_hop": (c_double, [c_void_p, c_size_t, c_size_t]),
    "hw_citation_main_share": (c_double, [c_void_p, c_size_t, c_size_t]),
    "hw_citation_order": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "hw_citation_rule_used": (POINTER(hw_citation_rule), [c_void_p]),
    "hw_citation_min_peak": (c_double, [c_void_p]),
    "hw_confirm_params_init": (None, [POINTER(hw_confirm_params), c_size_t]),
    "hw_confirmation_new": (
        c_int,
        [
            POINTER(c_void_p),
            c_void_p,
            c_void_p,
            POINTER(hw_cited),
            POINTER(hw_confirm_params),
            POINTER(hw_error),
        ],
    ),
    "hw_confirmation_free": (None, [c_void_p]),
    "hw_confirmation_drop": (c_double, [c_void_p, c_size_t, c_size_t]),
    "hw_confirmation_measured": (c_bool, [c_void_p, c_size_t]),
    "hw_confirmation_stand_in": (c_bool, [c_void_p, c_size_t, POINTER(c_size_t)]),
    "hw_confirmation_n_passes": (c_size_t, [c_void_p]),
    "hw_citation_confirm": (None, [c_void_p, c_void_p]),
    "hw_format_count": (c_size_t, []),
    "hw_format_at": (POINTER(hw_format_info), [c_size_t]),
    "hw_format_of": (POINTER(hw_format_info), [c_char_p]),
    "hw_result_save": (c_int, [POINTER(c_void_p), c_size_t, c_char_p, c_bool, POINTER(hw_error)]),
    "hw_result_to_bytes": (
        c_int,
        [
            POINTER(c_void_p),
            POINTER(c_size_t),
            POINTER(c_void_p),
            c_size_t,
            c_char_p,
            POINTER(hw_error),
        ],
    ),
    "hw_result_open": (c_int, [POINTER(c_void_p), c_char_p, POINTER(hw_error)]),
    "hw_result_open_bytes": (c_int, [POINTER(c_void_p), c_void_p, c_size_t, POINTER(hw_error)]),
    "hw_result_free": (None, [c_void_p]),
    "hw_result_count": (c_size_t, [c_void_p]),
    "hw_result_at": (c_void_p, [c_void_p, c_size_t]),
    "hw_file_probe": (c_int, [POINTER(c_int), c_char_p, POINTER(hw_error)]),
    "hw_document_json": (
        c_int,
        [
            POINTER(c_void_p),
            c_void_p,
            c_void_p,
            POINTER(c_void_p),
            c_size_t,
            POINTER(hw_error),
        ],
    ),
    "hw_attribution_json": (c_int, [POINTER(c_void_p), POINTER(c_size_t), c_void_p, POINTER(hw_error)]),
    "hw_token_json": (c_int, [POINTER(c_void_p), POINTER(c_size_t), c_void_p, c_size_t, POINTER(hw_error)]),
    "hw_model_json": (c_int, [POINTER(c_void_p), POINTER(c_size_t), POINTER(hw_model_info), POINTER(hw_error)]),
    "hw_filter_count": (c_size_t, []),
    "hw_filter_at": (POINTER(hw_filter_info), [c_size_t]),
    "hw_filter_check": (c_int, [c_char_p, POINTER(hw_error)]),
    "hw_view_params_init": (None, [POINTER(hw_view_params), c_size_t]),
    "hw_view_new": (c_int, [POINTER(c_void_p), c_void_p, POINTER(hw_view_params), POINTER(hw_error)]),
    "hw_view_free": (None, [c_void_p]),
    "hw_view_n_columns": (c_size_t, [c_void_p]),
    "hw_view_n_layers": (c_size_t, [c_void_p]),
    "hw_view_scores": (c_void_p, [c_void_p]),
    "hw_view_profile": (c_void_p, [c_void_p]),
    "hw_view_is_hidden": (c_bool, [c_void_p, c_size_t]),
    "hw_view_hidden_mass": (c_double, [c_void_p]),
    "hw_view_outside_mass": (c_double, [c_void_p]),
    "hw_view_top": (c_size_t, [c_void_p, POINTER(c_size_t), c_size_t]),
    "hw_trace_builder_params_init": (None, [POINTER(hw_trace_builder_params), c_size_t]),
    "hw_trace_builder_new": (c_int, [POINTER(c_void_p), POINTER(hw_trace_builder_params), POINTER(hw_error)]),
    "hw_trace_builder_free": (None, [c_void_p]),
    "hw_trace_builder_token": (c_int, [c_void_p, c_char_p, c_size_t, c_int32, c_float, POINTER(hw_error)]),
    "hw_trace_builder_rows": (c_int, [c_void_p, c_void_p, c_size_t, c_size_t, POINTER(hw_error)]),
    "hw_trace_builder_finish": (c_int, [POINTER(c_void_p), c_void_p, POINTER(hw_error)]),
}
