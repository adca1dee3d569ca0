"""The models of the zoo: by name, a configuration of Hugging Face's code, its arguments and what else differs.

Options:
    tokenizer   "bpe" (the default), "spm", "llama" (SentencePiece) or "spaces" (BPE over whole words, as Gemma 4 has)
    post        the norm behind the attention's output projection
    input       the module of a layer whose input is the stream that the layer's attention is added to
    mixed       ends of names of modules whose output counts as constant, where the stream is mixed: see mixed.py
    pairs       llama.cpp rotates consecutive channels of a head, Hugging Face's code the two halves: the reference
                does as llama.cpp
    stacks      lists of layers that are applied in cycles: see slots_of in reference.py
    sinks_outside  learned sinks scale what heads make, not the weights that Hugging Face's code shows
    factor      what the attention's part is multiplied by: a number, or the name of a field of the configuration
    scalars     what each layer multiplies the stream by
    config      fields that config.json gets beside those that Hugging Face's code writes
    force       of these, the ones that win over what the converter reads
    converter   options of llama.cpp's converter
    rename      patterns of tensors' names, and what they are replaced by, as the published models have them
    model       the class that is built, where that is no causal language model
    tokenizer_config   fields of tokenizer_config.json
    refused     method -> what the reason for its absence says; a model without `golden` is not compared at all
    parameters  name of a parameter -> a function of its random numbers
"""

V = 320
BASE = dict(vocab_size=V, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=3,
            tie_word_embeddings=False)
IDS = dict(bos_token_id=1, eos_token_id=2)
GEMMA = dict(head_dim=16, tie_word_embeddings=True, bos_token_id=2, eos_token_id=1, pad_token_id=0,
                    hidden_activation="gelu_pytorch_tanh")
MOE = dict(num_experts_per_tok=2, moe_intermediate_size=16)
MLA = dict(num_key_value_heads=4, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8,
                    v_head_dim=12)
DEEPSEEK = dict(n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1, n_group=1, topk_group=1,
                routed_scaling_factor=1.0, **MOE)
DELTA = dict(head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=16,
             linear_value_head_dim=16, linear_conv_kernel_dim=4,
             layer_types=["linear_attention", "linear_attention", "linear_attention", "full_attention"])
LLAMA3_ROPE = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=32, rope_theta=10000.0)
GRANITE = dict(embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=4.0)
ALTERNATING = ["sliding_attention", "full_attention"] * 2
PARTIAL = dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)


def base(**fields):
    return {**BASE, **fields}


RECURRENT = "the model has no attention layers"
ARCHITECTURES = {
    # Llama and those that differ from it in little
    "llama": ("LlamaConfig", base(rope_parameters=LLAMA3_ROPE), {}),
    "llama_tied": ("LlamaConfig", base(tie_word_embeddings=True, num_key_value_heads=4), {}),
    "llama_bias": ("LlamaConfig", base(attention_bias=True, mlp_bias=True, head_dim=16), {}),
    "llama_spm": ("LlamaConfig", base(num_key_value_heads=1), dict(tokenizer="llama")),
    "mistral": ("MistralConfig", base(sliding_window=None), dict(tokenizer="llama")),
    "ministral3": ("Ministral3Config", base(head_dim=8), dict(tokenizer="llama")),
    "mixtral": ("MixtralConfig", base(num_local_experts=4, num_experts_per_tok=2, sliding_window=None),
                dict(tokenizer="llama")),
    "arcee": ("ArceeConfig", base(), {}),
    "smollm3": ("SmolLM3Config", base(no_rope_layers=[1, 1, 1, 0]), {}),
    "seed_oss": ("SeedOssConfig", base(head_dim=16), {}),
    "apertus": ("ApertusConfig", base(), {}),
    "youtu": ("YoutuConfig", base(**MLA), {}),
    "llama4": ("Llama4TextConfig", base(head_dim=8, num_local_experts=4, num_experts_per_tok=1,
                    intermediate_size_mlp=64,
                                        attention_chunk_size=8192, interleave_moe_layer_step=2, use_qk_norm=True), {}),
    # Qwen
    "qwen2": ("Qwen2Config", base(), {}),
    "qwen2_moe": ("Qwen2MoeConfig", base(num_experts=4, shared_expert_intermediate_size=32, **MOE), {}),
    "qwen3": ("Qwen3Config", base(head_dim=16), {}),
    "qwen3_moe": ("Qwen3MoeConfig", base(head_dim=16, num_experts=8, norm_topk_prob=True, **MOE), {}),
    "qwen3_next": ("Qwen3NextConfig", base(num_experts=4, shared_expert_intermediate_size=32, **MOE, **DELTA),
                   dict(converter=["--no-mtp"])),
    "qwen35": ("Qwen3_5TextConfig", base(**{**DELTA, "head_dim": 32}), dict(converter=["--no-mtp"])),
    "qwen35_moe": ("Qwen3_5MoeTextConfig", base(num_experts=4, shared_expert_intermediate_size=32, **MOE,
                                                   **{**DELTA, "head_dim": 32}), dict(converter=["--no-mtp"])),
    # Gemma
    "gemma": ("GemmaConfig", base(**GEMMA), dict(tokenizer="spm")),
    "gemma2": ("Gemma2Config", base(sliding_window=8, query_pre_attn_scalar=16, attn_logit_softcapping=50.0,
                                    final_logit_softcapping=30.0, **GEMMA),
               dict(tokenizer="spm", post="post_attention_layernorm")),
    "gemma3": ("Gemma3TextConfig", base(num_hidden_layers=7, sliding_window=8, query_pre_attn_scalar=16, **GEMMA),
               dict(tokenizer="spm", post="post_attention_layernorm")),
    "gemma3n": ("Gemma3nTextConfig", base(num_hidden_layers=5, sliding_window=8, vocab_size_per_layer_input=V,
                                          hidden_size_per_layer_input=256, num_kv_shared_layers=0, laurel_rank=64,
                                          activation_sparsity_pattern=[0.95053] * 5, intermediate_size=160,
                                          hidden_size=96, head_dim=32, bos_token_id=2, eos_token_id=1, pad_token_id=0),
                dict(tokenizer="spm", post="post_attention_layernorm", input="input_layernorm",
                     mixed=["mlp", "laurel.linear_right", "per_layer_projection"])),
    # Those that mix their stream otherwise
    "hrm_text": ("HrmTextConfig", base(num_hidden_layers=2, H_cycles=2, L_cycles=2, L_bp_cycles=[2, 2], head_dim=8,
                                       num_key_value_heads=4,
                                       prefix_lm=False, embedding_scale=3.0),
                 dict(stacks=["model.L_module.layers", "model.H_module.layers"], mixed=["mlp"])),
    "hy_v4": ("HYV4Config", base(moe_intermediate_size=16, n_routed_experts=4, num_experts_per_tok=2, hc_mult=4,
                                 mlp_layer_types=["dense"] + ["sparse"] * 3, swiglu_limit=10.0, index_topk=128,
                                 index_head_dim=16, index_n_heads=2, indexer_types=["full"] * 4, **MLA),
              dict(input="input_layernorm", mixed=["mlp"], pairs=True,
                   rename=[(r"hc_pre\.(hc_(?:attn|mlp)_layer)\.", r"\1.hc_pre."), (r"hc_pre\.hc_head", "hc_head"),
                           (r"(mlp.*)linear_gate", r"\1gate_proj")])),
    "qwen4_exp": ("Qwen4ExpTextConfig", base(num_experts=4, shared_expert_intermediate_size=32, hc_count=4,
                                             hc_lowrank=16, ple_layer_ids=[], indexer_n_heads=2, indexer_kv_heads=1,
                                             indexer_head_dim=32, indexer_budget=128, indexer_compress_ratio=4,
                                             output_gate_type="sigmoid",
                                             rope_parameters={**PARTIAL, "partial_rotary_factor": 0.25},
                                             **MOE, **{**DELTA, "head_dim": 32}),
                  dict(input="self_attn", mixed=["mlp", "linear_attn"])),
    "gemma4": ("Gemma4TextConfig", base(global_head_dim=16, sliding_window=8, vocab_size_per_layer_input=V,
                                        hidden_size_per_layer_input=0, num_kv_shared_layers=0,
                                        final_logit_softcapping=30.0, layer_types=ALTERNATING,
                                        **GEMMA),
               dict(tokenizer="spaces", post="post_attention_layernorm", scalars=[0.7, 1.3, 0.8, 0.5],
                    config={"global_head_dim": 16, "num_global_key_value_heads": 2}, force=["global_head_dim"])),
    "gemma4_shared": ("Gemma4TextConfig", base(num_hidden_layers=6, global_head_dim=32, sliding_window=8,
                                               vocab_size_per_layer_input=V, hidden_size_per_layer_input=16,
                                               num_kv_shared_layers=2, layer_types=ALTERNATING + ALTERNATING[:2],
                                               final_logit_softcapping=30.0, **GEMMA),
                      dict(tokenizer="spaces", post="post_attention_layernorm", scalars=[1.0] * 6,
                           config={"global_head_dim": 32, "num_global_key_value_heads": 2}, force=["global_head_dim"])),
    # GPT and its line
    "gpt2": ("GPT2Config", dict(vocab_size=V, n_embd=32, n_layer=4, n_head=4, n_positions=128, n_ctx=128, **IDS), {}),
    "gptneox": ("GPTNeoXConfig", dict(vocab_size=V, hidden_size=32, intermediate_size=64, num_hidden_layers=4,
                                      num_attention_heads=4, max_position_embeddings=128, use_parallel_residual=True,
                                      **IDS), dict(config={"rotary_pct": 0.25})),
    "gptneox_serial": ("GPTNeoXConfig", dict(vocab_size=V, hidden_size=32, intermediate_size=64, num_hidden_layers=4,
                                             num_attention_heads=4, max_position_embeddings=128,
                                             use_parallel_residual=False, **IDS), dict(config={"rotary_pct": 0.25})),
    "gpt_oss": ("GptOssConfig", base(head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=8,
                                       rope_parameters=dict(rope_type="default", rope_theta=10000.0)), {}),
    "gpt_bigcode": ("GPTBigCodeConfig", dict(vocab_size=V, n_embd=32, n_layer=4, n_head=4, n_positions=128, n_inner=128,
                                             multi_query=True, **IDS), {}),
    "bloom": ("BloomConfig", dict(vocab_size=V, hidden_size=32, n_layer=4, n_head=4, **IDS), {}),
    "mpt": ("MptConfig", dict(vocab_size=V, d_model=32, n_heads=4, n_layers=4, expansion_ratio=2, max_seq_len=128,
                              layer_norm_epsilon=1e-5), dict(config={"architectures": ["MPTForCausalLM"]})),
    "falcon": ("FalconConfig", dict(vocab_size=V, hidden_size=32, num_hidden_layers=4, num_attention_heads=4,
                    alibi=False,
                                    multi_query=True, new_decoder_architecture=False, parallel_attn=True, bias=False,
                                    **IDS), dict(config={"num_kv_heads": 1})),
    "starcoder2": ("Starcoder2Config", base(sliding_window=None, use_bias=True), {}),
    "stablelm": ("StableLmConfig", base(rope_parameters={**PARTIAL, "partial_rotary_factor": 0.25},
                                        partial_rotary_factor=0.25), {}),
    "stablelm_parallel": ("StableLmConfig", base(rope_parameters={**PARTIAL, "partial_rotary_factor": 0.25},
                                                 partial_rotary_factor=0.25, use_parallel_residual=True), {}),
    "nemotron": ("NemotronConfig", base(rope_parameters=PARTIAL), dict(tokenizer="llama")),
    "jais2": ("Jais2Config", base(num_key_value_heads=4), {}),
    # Phi
    "phi2": ("PhiConfig", dict(vocab_size=V, hidden_size=32, intermediate_size=128, num_hidden_layers=4,
                               num_attention_heads=4, max_position_embeddings=128, partial_rotary_factor=0.5, **IDS),
                               {}),
    "phi3": ("Phi3Config", base(sliding_window=None), dict(tokenizer_config={"tokenizer_class": "GPT2Tokenizer"})),
    # OLMo, Cohere, Granite
    "olmo": ("OlmoConfig", base(clip_qkv=None), {}),
    "olmo2": ("Olmo2Config", base(num_key_value_heads=4), dict(post="post_attention_layernorm")),
    "olmo3": ("Olmo3Config", base(num_key_value_heads=4, sliding_window=8), dict(post="post_attention_layernorm")),
    "olmoe": ("OlmoeConfig", base(num_key_value_heads=4, num_experts=8, num_experts_per_tok=2), {}),
    "cohere": ("CohereConfig", base(logit_scale=0.25, tie_word_embeddings=True), {}),
    "cohere2": ("Cohere2Config", base(logit_scale=0.25, sliding_window=8, head_dim=8, tie_word_embeddings=True),
                dict(config={"rotary_pct": 1.0})),
    "cohere2_moe": ("Cohere2MoeConfig", base(logit_scale=0.25, sliding_window=8, head_dim=8, num_experts=4,
                                             num_experts_per_tok=2), {}),
    "granite": ("GraniteConfig", base(**GRANITE), dict(factor="residual_multiplier")),
    "granite_moe": ("GraniteMoeConfig", base(num_local_experts=4, num_experts_per_tok=2, **GRANITE),
                    dict(factor="residual_multiplier")),
    "granite_moe_shared": ("GraniteMoeSharedConfig", base(num_local_experts=4, num_experts_per_tok=2,
                                                          shared_intermediate_size=32, **GRANITE),
                           dict(factor="residual_multiplier")),
    "granite_hybrid": ("GraniteMoeHybridConfig", base(num_local_experts=4, num_experts_per_tok=2,
                                                      shared_intermediate_size=32, mamba_n_heads=4, mamba_d_head=16,
                                                      mamba_d_state=16, mamba_n_groups=1, mamba_expand=2,
                                                      layer_types=["mamba", "attention", "mamba", "attention"],
                                                      **GRANITE),
                       dict(factor="residual_multiplier",
                            config={"layer_types": ["mamba", "attention", "mamba", "attention"]},
                            force=["layer_types"])),
    "granite_swa": ("GraniteSWAConfig", base(sliding_window=8, layer_types=ALTERNATING, **GRANITE),
                    dict(factor="residual_multiplier", sinks_outside=True)),
    "bamba": ("BambaConfig", base(mamba_n_heads=4, mamba_d_head=16, mamba_d_state=16, mamba_n_groups=1, mamba_expand=2,
                                  attn_layer_indices=[1, 3],
                                  rope_parameters={**PARTIAL, "partial_rotary_factor": 1.0}),
              dict(config={"attn_rotary_emb": 8})),
    # GLM, DeepSeek and other mixtures
    "glm": ("GlmConfig", base(head_dim=8, partial_rotary_factor=0.5), {}),
    "glm4": ("Glm4Config", base(head_dim=8, partial_rotary_factor=0.5), dict(post="post_self_attn_layernorm")),
    "glm4_moe": ("Glm4MoeConfig", base(head_dim=8, n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1,
                                       n_group=1, topk_group=1, use_qk_norm=True, **MOE), dict(converter=["--no-mtp"])),
    "glm4_moe_lite": ("Glm4MoeLiteConfig", base(n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1,
                                                n_group=1, topk_group=1, **MOE, **MLA),
                      dict(config={"scoring_func": "sigmoid"}, converter=["--no-mtp"])),
    "deepseek2": ("DeepseekV2Config", base(topk_method="greedy", norm_topk_prob=False, **DEEPSEEK, **MLA), {}),
    "deepseek3": ("DeepseekV3Config", base(norm_topk_prob=True, **DEEPSEEK, **MLA),
                    dict(config={"scoring_func": "sigmoid"})),
    "deepseek3_dense": ("DeepseekV3Config", base(norm_topk_prob=True, **{**DEEPSEEK, "first_k_dense_replace": 4},
                    **MLA),
                        {}),
    "minicpm3": ("MiniCPM3Config", base(scale_emb=12, scale_depth=1.4, dim_model_base=256, **{**MLA, "v_head_dim": 8}),
                 dict(tokenizer="llama", factor=1.4 / 4 ** 0.5)),
    "dots1": ("Dots1Config", base(num_key_value_heads=4, **DEEPSEEK), dict(config={"scoring_func": "sigmoid"})),
    "ernie45": ("Ernie4_5Config", base(head_dim=8), dict(tokenizer="llama")),
    "ernie45_moe": ("Ernie4_5_MoeConfig", base(moe_num_experts=4, moe_k=2, moe_intermediate_size=32,
                                               moe_num_shared_experts=1, moe_layer_start_index=1, moe_layer_interval=1),
                    dict(tokenizer="llama")),
    "exaone4": ("Exaone4Config", base(sliding_window=None, layer_types=["full_attention"] * 4),
                dict(post="post_attention_layernorm")),
    "exaone_moe": ("ExaoneMoeConfig", base(num_experts=4, sliding_window=8, sliding_window_pattern=4, n_group=1,
                                           topk_group=1, num_shared_experts=1, first_k_dense_replace=1, **MOE),
                   dict(config={"scoring_func": "sigmoid"})),
    "hunyuan": ("HunYuanDenseV1Config", base(head_dim=16), {}),
    "hy_v3": ("HYV3Config", base(head_dim=8, num_experts=4, num_shared_experts=1, first_k_dense_replace=1, **MOE), {}),
    "minimax_m2": ("MiniMaxM2Config", base(head_dim=8, num_local_experts=4, num_experts_per_tok=2, rotary_dim=4),
                   dict(config={"scoring_func": "sigmoid"})),
    "afmoe": ("AfmoeConfig", base(head_dim=8, num_experts=4, num_dense_layers=1, sliding_window=8, mup_enabled=True,
                                  **MOE), dict(post="post_attention_layernorm", config={"route_norm": True})),
    "mellum": ("MellumConfig", base(head_dim=8, num_experts=4, sliding_window=8, layer_types=ALTERNATING,
                                    rope_parameters={t: dict(rope_type="default", rope_theta=10000.0)
                                                     for t in ALTERNATING[:2]}, **MOE), {}),
    "laguna": ("LagunaConfig", base(head_dim=8, num_experts=4, shared_expert_intermediate_size=32, sliding_window=8,
                                    layer_types=["full_attention"] + ["sliding_attention"] * 3, **MOE), {}),
    "dbrx": ("DbrxConfig", dict(vocab_size=V, d_model=32, n_heads=4, n_layers=4, max_seq_len=128,
                                attn_config=dict(kv_n_heads=2, rope_theta=10000.0, clip_qkv=8.0),
                                ffn_config=dict(ffn_hidden_size=32, moe_num_experts=4, moe_top_k=2), **IDS), {}),
    # Recurrent layers beside attention, or alone
    "jamba": ("JambaConfig", base(attn_layer_period=2, attn_layer_offset=1, num_experts=1, num_experts_per_tok=1,
                                  expert_layer_period=2, expert_layer_offset=1, mamba_d_state=16, mamba_dt_rank=8,
                                  use_mamba_kernels=False), dict(tokenizer="llama")),
    "lfm2": ("Lfm2Config", base(layer_types=["conv", "full_attention"] * 2, block_multiple_of=16, block_ff_dim=64), {}),
    "lfm2_moe": ("Lfm2MoeConfig", base(layer_types=["conv", "full_attention"] * 2, num_experts=4, num_dense_layers=1,
                                       tie_word_embeddings=True, **MOE), {}),
    "falcon_h1": ("FalconH1Config", base(mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=16,
                                         mamba_n_groups=1, mamba_expand=1, head_dim=8, attention_out_multiplier=0.7,
                                         attention_in_multiplier=0.8, ssm_out_multiplier=0.6, lm_head_multiplier=0.5,
                                         embedding_multiplier=2.0), dict(factor="attention_out_multiplier")),
    "nemotron_h": ("NemotronHConfig", base(head_dim=8, hybrid_override_pattern="M*EM*E", num_hidden_layers=6,
                                           layers_block_type=["mamba", "attention", "moe"] * 2,
                                           n_routed_experts=4, n_shared_experts=1, n_group=1, topk_group=1,
                                           moe_shared_expert_intermediate_size=32, **MOE,
                                           mamba_num_heads=4, mamba_head_dim=16, ssm_state_size=16, n_groups=1,
                                           time_step_min=1e-9, time_step_floor=1e-9),
                   dict(config={"hybrid_override_pattern": "M*EM*E", "norm_eps": 1e-5, "rms_norm_eps": 1e-5},
                    converter=["--no-mtp"])),
    "mamba": ("MambaConfig", dict(vocab_size=V, hidden_size=32, state_size=16, num_hidden_layers=3, **IDS),
              dict(refused=dict(rollout=RECURRENT))),
    "mamba2": ("Mamba2Config", dict(vocab_size=V, hidden_size=32, num_heads=8, head_dim=8, state_size=16, n_groups=1,
                                    num_hidden_layers=3, expand=2, pad_vocab_size_multiple=8, **IDS),
               dict(refused=dict(rollout=RECURRENT))),
    "falcon_mamba": ("FalconMambaConfig", dict(vocab_size=V, hidden_size=32, state_size=16, num_hidden_layers=3, **IDS),
                     dict(refused=dict(rollout=RECURRENT))),
    # Not decoders that generate
    "t5": ("T5Config", dict(vocab_size=V, d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4),
           dict(tokenizer="spm", model="T5ForConditionalGeneration", config={"decoder_start_token_id": 0},
                refused=dict(rollout="it has an encoder"))),
    "bert": ("BertConfig", dict(vocab_size=V, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
                                intermediate_size=64), dict(model="BertModel",
                                refused=dict(rollout="it is an encoder"))),
}
