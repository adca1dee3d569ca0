/* chat_template.cpp - one call of llama-common's common_chat_templates_apply(). */
#include "engine/llama/chat_template.h"

#ifdef HW_HAVE_LLAMA_COMMON

#include <chat.h>
#include <log.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <mutex>
#include <new>

namespace {

/* What templates that write today's date get, at noon, so that it is that day in every time zone: the date that Llama 3's template
 * falls back to. */
std::chrono::system_clock::time_point fixed_date() {
    std::tm noon = {};
    noon.tm_year = 2024 - 1900;
    noon.tm_mon = 6;
    noon.tm_mday = 26;
    noon.tm_hour = 12;
    noon.tm_isdst = -1;
    return std::chrono::system_clock::from_time_t(std::mktime(&noon));
}

/* The library prints on standard error otherwise. */
void silence_log() {
    static std::once_flag once;
    std::call_once(once, [] { common_log_set_verbosity_thold(-1); });
}

common_chat_templates_inputs inputs_of(const hw__chat &chat) {
    common_chat_templates_inputs in;
    for (size_t i = 0; i < chat.n_messages; i++) {
        common_chat_msg message;
        message.role = chat.messages[i].role;
        message.content.assign(chat.messages[i].content ? chat.messages[i].content : "", chat.messages[i].content_bytes);
        in.messages.push_back(message);
    }
    in.enable_thinking = chat.thinking != HW_THINKING_OFF;
    in.now = fixed_date();
    return in;
}

std::string render(const llama_model *model, const hw__chat &chat) {
    silence_log();
    auto templates = common_chat_templates_init(model, chat.source ? chat.source : "");
    return common_chat_templates_apply(templates.get(), inputs_of(chat)).prompt;
}

hw_err copy(hw__written *out, const std::string &text, hw_error *err) {
    char *bytes = static_cast<char *>(std::malloc(text.size() + 1));
    if (!bytes) return hw__fail_memory(err, "a conversation", text.size() + 1, 1);
    std::memcpy(bytes, text.c_str(), text.size() + 1);
    out->bytes = bytes;
    out->n = text.size();
    return HW_OK;
}

}

hw_err hw__chat_template_render(hw__written *out, const llama_model *model, const hw__chat *chat, hw_error *err) {
    try {
        return copy(out, render(model, *chat), err);
    } catch (const std::bad_alloc &) {
        return hw__fail(err, HW_ERR_MEMORY, "out of memory: rendering the chat template");
    } catch (const std::exception &e) {
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the chat template does not render: %s", e.what());
    } catch (...) {
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the chat template does not render, and no reason is given");
    }
}

#else

hw_err hw__chat_template_render(hw__written *, const llama_model *, const hw__chat *, hw_error *err) {
    return hw__fail(err, HW_ERR_UNSUPPORTED,
                    "chat templates cannot be rendered: this build's llama.cpp was installed without its library "
                    "llama-common (scripts/setup-engine.sh builds it)");
}

#endif
