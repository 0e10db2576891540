"""A record of every format, with numbers of our own, and what it must be read as.

Usage is (input, cache read, cache write, cache write 1h, output, reasoning), then the disjoint
classes (fresh, read, write, write 1h, output, reasoning); both worked out by hand.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sample:
    format: str
    records: tuple[dict[str, Any], ...]
    usage: tuple[int | None, ...]
    classes: tuple[int, ...]
    fields: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] | None = None
    notes: tuple[str, ...] = ()


def _attributes(**changes: Any) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "resp-5",
        "gen_ai.conversation.id": "talk-1",
        "gen_ai.usage.input_tokens": 1500,
        "gen_ai.usage.cache_read.input_tokens": 1024,
        "gen_ai.usage.cache_creation.input_tokens": 100,
        "gen_ai.usage.output_tokens": 70,
        "gen_ai.usage.reasoning.output_tokens": 30,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]',
        "gen_ai.input.messages": (
            '[{"role":"user","parts":[{"type":"text","content":"Why"},'
            '{"type":"text","content":"?"}]}]'
        ),
        "gen_ai.output.messages": (
            '[{"role":"assistant","parts":[{"type":"reasoning","content":"hmm"},'
            '{"type":"text","content":"So."}]}]'
        ),
        **changes,
    }


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value}


SPAN_TIMES = {
    "startTimeUnixNano": "1793523600100000000",
    "endTimeUnixNano": "1793523601350500000",
}
OTLP_SPAN = {
    "name": "chat gpt-4o",
    **SPAN_TIMES,
    "attributes": [{"key": k, "value": _typed(v)} for k, v in _attributes().items()],
}
SPAN_FIELDS = {
    "id": "resp-5",
    "timestamp": 1793523600.1,
    "session": "talk-1",
    "model": "gpt-4o-2024-08-06",
    "provider": "openai",
    "latency_ms": 1250.5,
    "ttft_ms": 250.0,
    "response": "So.",
}
SPAN_MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
SPAN_USAGE = (1500, 1024, 100, None, 70, 30)
SPAN_CLASSES = (376, 1024, 100, 0, 40, 30)

BATCH_INPUT = {
    "custom_id": "q7",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "2+2?"}]},
}
BATCH_OUTPUT = {
    "id": "batch_req_7",
    "custom_id": "q7",
    "response": {
        "status_code": 200,
        "request_id": "x",
        "body": {
            "id": "chatcmpl-7",
            "created": 1793523600,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"message": {"role": "assistant", "content": "4"}}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
        },
    },
    "error": None,
}
ANTHROPIC_BATCH_INPUT = {
    "custom_id": "a1",
    "params": {
        "model": "claude-haiku-4-5",
        "system": "Answer in Korean.",
        "messages": [{"role": "user", "content": "hi"}],
    },
}
ANTHROPIC_BATCH_OUTPUT = {
    "custom_id": "a1",
    "result": {
        "type": "succeeded",
        "message": {
            "id": "msg_9",
            "model": "claude-haiku-4-5",
            "content": [{"type": "text", "text": "안녕"}],
            "usage": {
                "input_tokens": 11,
                "output_tokens": 6,
                "cache_read_input_tokens": 4096,
                "cache_creation_input_tokens": 0,
                "service_tier": "batch",
            },
        },
    },
}
TRANSCRIPT = {
    "type": "assistant",
    "sessionId": "s9",
    "uuid": "u1",
    "parentUuid": None,
    "timestamp": "2026-03-11T02:40:22.650Z",
    "message": {
        "id": "msg_a",
        "model": "claude-opus-4-6",
        "content": [{"type": "text", "text": "Let me look."}],
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 1500,
            "cache_read_input_tokens": 20000,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0,
                "ephemeral_1h_input_tokens": 1500,
            },
            "output_tokens": 300,
        },
    },
}
LITELLM = {
    "id": "chatcmpl-3",
    "trace_id": "t",
    "session_id": "s3",
    "call_type": "acompletion",
    "litellm_call_id": "c3",
    "response_cost": 0.0125,
    "status": "success",
    "custom_llm_provider": "anthropic",
    "prompt_tokens": 3000,
    "completion_tokens": 40,
    "total_tokens": 3040,
    "startTime": 1793523600.25,
    "completionStartTime": 1793523600.75,
    "endTime": 1793523602.25,
    "response_time": 2.0,
    "model": "claude-sonnet-4-5",
    "cache_hit": False,
    "end_user": "u9",
    "messages": [{"role": "user", "content": "hi"}],
    "response": {
        "model": "claude-sonnet-4-5-20250929",
        "choices": [{"message": {"role": "assistant", "content": "yo"}}],
        "usage": {
            "prompt_tokens": 3000,
            "completion_tokens": 40,
            "total_tokens": 3040,
            "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 600,
            "prompt_tokens_details": {
                "cached_tokens": 2000,
                "cache_creation_tokens": 600,
                "cache_creation_token_details": {
                    "ephemeral_5m_input_tokens": 500,
                    "ephemeral_1h_input_tokens": 100,
                },
            },
        },
    },
}
LANGFUSE = {
    "id": "obs",
    "traceId": "tr",
    "type": "GENERATION",
    "startTime": "2026-11-01T09:00:00.000Z",
    "completionStartTime": "2026-11-01T09:00:00.125Z",
    "endTime": "2026-11-01T09:00:02.500Z",
    "userId": "kim",
    "sessionId": "s5",
    "model": "claude-sonnet-4-5",
    "input": {"messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f"}]},
    "output": {"role": "assistant", "content": "hello"},
    "usageDetails": {
        "input": 80,
        "cache_read_input_tokens": 900,
        "cache_creation_input_tokens": 20,
        "output": 55,
        "output_reasoning_tokens": 45,
        "total": 1100,
    },
    "totalCost": 0.0031,
}

SAMPLES = (
    Sample(
        "OpenAI chat",
        (
            {
                "id": "mine-1",
                "ts": "2026-11-01T09:00:00.120Z",
                "session": "s1",
                "latency_ms": 900,
                "ttft_ms": 100,
                "request": {
                    "model": "gpt-5.4",
                    "messages": [{"role": "user", "content": "hi"}],
                    "user": "u1",
                    "service_tier": "auto",
                },
                "response": {
                    "id": "chatcmpl-1",
                    "created": 1793523600,
                    "model": "gpt-5.4-2026-03-05",
                    "service_tier": "default",
                    "choices": [{"message": {"role": "assistant", "content": "hello"}}],
                    "usage": {
                        "prompt_tokens": 1100,
                        "completion_tokens": 250,
                        "total_tokens": 1350,
                        "prompt_tokens_details": {"cached_tokens": 1024},
                        "completion_tokens_details": {"reasoning_tokens": 200},
                    },
                },
            },
        ),
        (1100, 1024, None, None, 250, 200),
        (76, 1024, 0, 0, 50, 200),
        {
            "id": "mine-1",
            "timestamp": "2026-11-01T09:00:00.120Z",
            "session": "s1",
            "tenant": "u1",
            "model": "gpt-5.4-2026-03-05",
            "provider": "openai",
            "service_tier": "standard",
            "response": "hello",
            "latency_ms": 900.0,
            "ttft_ms": 100.0,
        },
        [{"role": "user", "content": "hi"}],
    ),
    Sample(
        "OpenAI chat",
        (
            {
                "id": "chatcmpl-2",
                "object": "chat.completion",
                "created": 1793523600,
                "model": "grok-4-fast",
                "choices": [
                    {
                        "message": {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [{"id": "t", "function": {"name": "f"}}],
                        }
                    }
                ],
                "usage": {
                    "prompt_tokens": 40,
                    "completion_tokens": 9,
                    "total_tokens": 140,
                    "completion_tokens_details": {"reasoning_tokens": 91},
                },
            },
        ),
        (40, None, None, None, 100, 91),
        (40, 0, 0, 0, 9, 91),
        {
            "id": "chatcmpl-2",
            "timestamp": 1793523600,
            "model": "grok-4-fast",
            "provider": None,
            "response": '[{"id":"t","function":{"name":"f"}}]',
        },
    ),
    Sample(
        "OpenAI Responses",
        (
            {
                "latency_ms": 12.5,
                "request": {"model": "gpt-5.6", "instructions": "Be kind.", "input": "hi"},
                "response": {
                    "id": "resp_2",
                    "object": "response",
                    "created_at": 1793523600,
                    "model": "gpt-5.6-sol",
                    "error": None,
                    "output": [
                        {"type": "reasoning", "summary": []},
                        {
                            "type": "message",
                            "role": "assistant",
                            "content": [{"type": "output_text", "text": "hello"}],
                        },
                    ],
                    "usage": {
                        "input_tokens": 5000,
                        "input_tokens_details": {"cached_tokens": 3072, "cache_write_tokens": 1800},
                        "output_tokens": 90,
                        "output_tokens_details": {"reasoning_tokens": 64},
                        "total_tokens": 5090,
                    },
                },
            },
        ),
        (5000, 3072, 1800, None, 90, 64),
        (128, 3072, 1800, 0, 26, 64),
        {"id": "resp_2", "model": "gpt-5.6-sol", "response": "hello", "latency_ms": 12.5},
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
    ),
    Sample(
        "OpenAI batch",
        (BATCH_INPUT, BATCH_OUTPUT),
        (12, None, None, None, 1, None),
        (12, 0, 0, 0, 1, 0),
        {
            "id": "chatcmpl-7",
            "timestamp": 1793523600,
            "model": "gpt-4o-mini-2024-07-18",
            "service_tier": "batch",
            "response": "4",
        },
        [{"role": "user", "content": "2+2?"}],
    ),
    Sample(
        "Anthropic messages",
        (
            {
                "request": {
                    "model": "claude-opus-5",
                    "system": [{"type": "text", "text": "Be kind."}],
                    "messages": [{"role": "user", "content": "hi"}],
                    "metadata": {"user_id": "u2"},
                },
                "response": {
                    "id": "msg_2",
                    "type": "message",
                    "model": "claude-opus-5",
                    "stop_reason": "end_turn",
                    "content": [
                        {"type": "thinking", "thinking": "hmm"},
                        {"type": "text", "text": "hello"},
                    ],
                    "usage": {
                        "input_tokens": 7,
                        "cache_read_input_tokens": 500,
                        "cache_creation_input_tokens": 90,
                        "cache_creation": {
                            "ephemeral_5m_input_tokens": 60,
                            "ephemeral_1h_input_tokens": 30,
                        },
                        "output_tokens": 12,
                        "service_tier": "priority",
                        "inference_geo": "us",
                    },
                },
            },
        ),
        (597, 500, 60, 30, 12, None),
        (7, 500, 60, 30, 12, 0),
        {
            "id": "msg_2",
            "tenant": "u2",
            "provider": "anthropic",
            "service_tier": "priority",
            "region": "us",
            "response": "hello",
        },
        [
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": "hi"},
        ],
    ),
    Sample(
        "Anthropic batch",
        (ANTHROPIC_BATCH_OUTPUT, ANTHROPIC_BATCH_INPUT),
        (4107, 4096, 0, None, 6, None),
        (11, 4096, 0, 0, 6, 0),
        {"id": "msg_9", "service_tier": "batch", "response": "안녕"},
        [{"role": "system", "content": "Answer in Korean."}, {"role": "user", "content": "hi"}],
    ),
    Sample(
        "Claude Code transcript",
        (TRANSCRIPT,),
        (21504, 20000, 0, 1500, 300, None),
        (4, 20000, 0, 1500, 300, 0),
        {
            "id": "msg_a",
            "session": "s9",
            "timestamp": "2026-03-11T02:40:22.650Z",
            "model": "claude-opus-4-6",
            "response": "Let me look.",
        },
    ),
    Sample(
        "Gemini",
        (
            {
                "request": {
                    "systemInstruction": {"parts": [{"text": "Be kind."}]},
                    "contents": [
                        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
                        {"role": "model", "parts": [{"text": "c"}]},
                    ],
                },
                "response": {
                    "modelVersion": "models/gemini-2.5-pro",
                    "responseId": "g1",
                    "candidates": [
                        {"content": {"parts": [{"text": "hm", "thought": True}, {"text": "d"}]}}
                    ],
                    "usageMetadata": {
                        "promptTokenCount": 1000,
                        "cachedContentTokenCount": 640,
                        "candidatesTokenCount": 20,
                        "thoughtsTokenCount": 80,
                        "toolUsePromptTokenCount": 50,
                        "totalTokenCount": 1150,
                    },
                },
            },
        ),
        (1050, 640, None, None, 100, 80),
        (410, 640, 0, 0, 20, 80),
        {"id": "g1", "model": "gemini-2.5-pro", "provider": "google", "response": "d"},
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "ab"},
            {"role": "assistant", "content": "c"},
        ],
    ),
    Sample(
        "Gemini batch",
        (
            {"key": "k1", "request": {"contents": [{"parts": [{"text": "hi"}]}]}},
            {
                "key": "k1",
                "response": {
                    "modelVersion": "gemini-2.5-flash",
                    "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
                },
            },
        ),
        (3, None, None, None, 0, None),
        (3, 0, 0, 0, 0, 0),
        {"service_tier": "batch", "provider": "google", "response": None},
        [{"role": "user", "content": "hi"}],
    ),
    Sample(
        "Vertex AI batch",
        (
            {
                "status": "",
                "processed_time": "2026-11-01T10:13:16.571+00:00",
                "request": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
                "response": {
                    "modelVersion": "gemini-2.5-flash",
                    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}}],
                    "usageMetadata": {
                        "promptTokenCount": 5,
                        "candidatesTokenCount": 3,
                        "totalTokenCount": 8,
                    },
                },
            },
        ),
        (5, None, None, None, 3, None),
        (5, 0, 0, 0, 3, 0),
        {
            "timestamp": "2026-11-01T10:13:16.571+00:00",
            "service_tier": "batch",
            "response": "hello",
        },
        [{"role": "user", "content": "hi"}],
    ),
    Sample(
        "DeepSeek chat",
        (
            {
                "model": "deepseek-v4-pro",
                "usage": {
                    "prompt_tokens": 700,
                    "prompt_cache_hit_tokens": 640,
                    "prompt_cache_miss_tokens": 60,
                    "completion_tokens": 33,
                    "total_tokens": 733,
                },
            },
        ),
        (700, 640, None, None, 33, None),
        (60, 640, 0, 0, 33, 0),
        {"provider": "deepseek", "model": "deepseek-v4-pro"},
    ),
    Sample(
        "LiteLLM payload",
        (LITELLM,),
        (3000, 2000, 500, 100, 40, None),
        (400, 2000, 500, 100, 40, 0),
        {
            "id": "chatcmpl-3",
            "timestamp": 1793523600.25,
            "session": "s3",
            "tenant": "u9",
            "model": "claude-sonnet-4-5-20250929",
            "provider": "anthropic",
            "response": "yo",
            "latency_ms": 2000.0,
            "ttft_ms": 500.0,
            "cost_usd": 0.0125,
        },
        [{"role": "user", "content": "hi"}],
    ),
    Sample(
        "LiteLLM SpendLogs",
        (
            {
                "request_id": "r4",
                "call_type": "acompletion",
                "spend": 0.5,
                "prompt_tokens": 900,
                "completion_tokens": 10,
                "total_tokens": 910,
                "startTime": "2026-11-01 09:00:00.100",
                "endTime": "2026-11-01 09:00:00.900",
                "completionStartTime": "2026-11-01 09:00:00.900",
                "model": "gpt-4o",
                "custom_llm_provider": "azure",
                "cache_hit": "False",
                "team_id": "team",
                "end_user": "u",
                "metadata": '{"usage_object":{"prompt_tokens_details":{"cached_tokens":512}}}',
                "messages": "{}",
                "response": "{}",
            },
        ),
        (900, 512, None, None, 10, None),
        (388, 512, 0, 0, 10, 0),
        {
            "id": "r4",
            "timestamp": "2026-11-01 09:00:00.100",
            "tenant": "team",
            "provider": "azure",
            "latency_ms": 800.0,
            "ttft_ms": None,
            "cost_usd": 0.5,
        },
    ),
    Sample(
        "Langfuse observation",
        (LANGFUSE,),
        (1000, 900, 20, None, 100, 45),
        (80, 900, 20, 0, 55, 45),
        {
            "id": "obs",
            "session": "s5",
            "tenant": "kim",
            "response": "hello",
            "latency_ms": 2500.0,
            "ttft_ms": 125.0,
            "cost_usd": 0.0031,
        },
        [{"role": "user", "content": "hi"}],
    ),
    Sample(
        "OpenTelemetry gen_ai span",
        ({"name": "chat gpt-4o", **SPAN_TIMES, "attributes": _attributes()},),
        SPAN_USAGE,
        SPAN_CLASSES,
        SPAN_FIELDS,
        SPAN_MESSAGES,
    ),
    Sample(
        "OpenTelemetry gen_ai span",
        (OTLP_SPAN,),
        SPAN_USAGE,
        SPAN_CLASSES,
        SPAN_FIELDS,
        SPAN_MESSAGES,
    ),
    Sample(
        "OpenTelemetry gen_ai span",
        (
            {
                "attributes": {
                    "gen_ai.system": "anthropic",
                    "gen_ai.request.model": "claude-3-5-sonnet",
                    "gen_ai.usage.prompt_tokens": 60,
                    "gen_ai.usage.completion_tokens": 8,
                    "gen_ai.usage.cache_read_input_tokens": 50,
                    "llm.usage.total_tokens": 68,
                    "gen_ai.prompt.0.role": "system",
                    "gen_ai.prompt.0.content": "Be kind.",
                    "gen_ai.prompt.1.content": "hi",
                    "gen_ai.completion.0.content": "hello",
                },
                "start_time": "2026-11-01T09:00:00Z",
                "end_time": "2026-11-01T09:00:01Z",
            },
        ),
        (60, 50, None, None, 8, None),
        (10, 50, 0, 0, 8, 0),
        {
            "timestamp": "2026-11-01T09:00:00Z",
            "latency_ms": 1000.0,
            "provider": "anthropic",
            "response": "hello",
        },
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
    ),
    Sample(
        "OTLP spans",
        (
            {
                "resourceSpans": [
                    {
                        "resource": {"attributes": []},
                        "scopeSpans": [
                            {
                                "scope": {"name": "x"},
                                "spans": [
                                    {
                                        "name": "invoke_agent a",
                                        "attributes": [
                                            {
                                                "key": "gen_ai.operation.name",
                                                "value": {"stringValue": "invoke_agent"},
                                            },
                                            {
                                                "key": "gen_ai.usage.input_tokens",
                                                "value": {"intValue": "9999"},
                                            },
                                        ],
                                    },
                                    OTLP_SPAN,
                                ],
                            }
                        ],
                    }
                ]
            },
        ),
        SPAN_USAGE,
        SPAN_CLASSES,
        SPAN_FIELDS,
        SPAN_MESSAGES,
    ),
    Sample(
        "OpenInference span",
        (
            {
                "attributes": {
                    "openinference.span.kind": "LLM",
                    "llm.model_name": "gpt-4o",
                    "llm.provider": "openai",
                    "llm.token_count.prompt": 300,
                    "llm.token_count.prompt_details.cache_read": 200,
                    "llm.token_count.prompt_details.cache_write": 50,
                    "llm.token_count.completion": 40,
                    "llm.token_count.completion_details.reasoning": 15,
                    "llm.token_count.total": 340,
                    "llm.cost.total": 0.001,
                    "session.id": "s8",
                    "user.id": "u8",
                    "llm.input_messages.0.message.role": "system",
                    "llm.input_messages.0.message.content": "Be kind.",
                    "llm.input_messages.1.message.role": "user",
                    "llm.input_messages.1.message.contents.0.message_content.type": "text",
                    "llm.input_messages.1.message.contents.0.message_content.text": "hi",
                    "llm.output_messages.0.message.role": "assistant",
                    "llm.output_messages.0.message.content": "hello",
                }
            },
        ),
        (300, 200, 50, None, 40, 15),
        (50, 200, 50, 0, 25, 15),
        {
            "session": "s8",
            "tenant": "u8",
            "model": "gpt-4o",
            "provider": "openai",
            "response": "hello",
            "cost_usd": 0.001,
        },
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
    ),
    Sample(
        "OpenInference span",
        (
            {
                "attributes": {
                    "openinference": {"span": {"kind": "LLM"}},
                    "llm": {
                        "model_name": "gpt-4o",
                        "token_count": {
                            "prompt": 30,
                            "completion": 4,
                            "prompt_details": {"cache_input": 10},
                        },
                        "input_messages": [{"message": {"role": "user", "content": "hi"}}],
                    },
                },
            },
        ),
        (30, 10, None, None, 4, None),
        (20, 10, 0, 0, 4, 0),
        {"model": "gpt-4o"},
        [{"role": "user", "content": "hi"}],
    ),
    Sample(
        "Mooncake trace",
        ({"timestamp": 3052, "input_length": 1300, "output_length": 7, "hash_ids": [0, 5, 9]},),
        (1300, None, None, None, 7, None),
        (1300, 0, 0, 0, 7, 0),
        {"timestamp": 3.052, "prefix_blocks": [0, 5, 9], "block_tokens": 512, "model": None},
    ),
    Sample(
        "Qwen trace",
        (
            {
                "chat_id": 8,
                "parent_chat_id": -1,
                "timestamp": 1.5,
                "input_length": 33,
                "output_length": 2,
                "type": "text",
                "turn": 1,
                "hash_ids": [4, 6, 7],
            },
        ),
        (33, None, None, None, 2, None),
        (33, 0, 0, 0, 2, 0),
        {
            "id": "8",
            "session": "8",
            "timestamp": 1.5,
            "prefix_blocks": [4, 6, 7],
            "block_tokens": 16,
        },
    ),
    Sample(
        "Azure trace",
        (
            {
                "TIMESTAMP": "2023-11-16 18:17:03.9799600",
                "ContextTokens": "4808",
                "GeneratedTokens": "10",
            },
        ),
        (4808, None, None, None, 10, None),
        (4808, 0, 0, 0, 10, 0),
        {"timestamp": "2023-11-16 18:17:03.9799600"},
    ),
)

CHAT = {
    "session": "talk",
    "reward": 1.0,
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "t"}]},
        {"role": "tool", "tool_call_id": "t", "content": "sun"},
    ],
}
