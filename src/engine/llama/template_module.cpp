/*
 * template_module.cpp - one call of llama-common's common_chat_templates_apply(), in a separate library that is opened
 * for the first conversation: otherwise every start of the process would resolve llama-common's thousands of symbols.
 * It links nothing else of Headwater.
 */
#include "engine/llama/chat_template.h"

#include <chat.h>
#include <common.h>
#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <log.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <iomanip>
#include <locale>
#include <new>
#include <sstream>

namespace {

/* The date for templates that write today's date: the fallback of Llama 3's template. */
std::string fixed_date(const std::string &format) {
    std::tm friday = {};
    friday.tm_year = 2024 - 1900;
    friday.tm_mon = 6;
    friday.tm_mday = 26;
    friday.tm_hour = 12;
    friday.tm_wday = 5;
    friday.tm_yday = 207;
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << std::put_time(&friday, format.c_str());
    return out.str();
}

/* Replaces each strftime_now("FORMAT") in the template by the text of that date, because llama-common's function reads
 * the clock. A call whose format is not a literal is kept. */
std::string with_fixed_date(std::string source) {
    static const std::string call = "strftime_now(";
    for (size_t at = source.find(call); at != std::string::npos; at = source.find(call, at + 1)) {
        size_t open = source.find_first_not_of(" \t\n", at + call.size());
        if (open == std::string::npos || (source[open] != '"' && source[open] != '\'')) continue;
        size_t close = source.find(source[open], open + 1);
        size_t end = close == std::string::npos ? close : source.find_first_not_of(" \t\n", close + 1);
        if (end == std::string::npos || source[end] != ')') continue;
        std::string quote(1, source[open]);
        source.replace(at, end + 1 - at, quote + fixed_date(source.substr(open + 1, close - open - 1)) + quote);
    }
    return source;
}

/* The library would print to standard error. */
void silence_log() { common_log_set_verbosity_thold(-1); }

common_chat_templates_inputs inputs_of(const hw__chat &chat) {
    common_chat_templates_inputs in;
    for (size_t i = 0; i < chat.n_messages; i++) {
        common_chat_msg message;
        message.role = chat.messages[i].role;
        message.content.assign(chat.messages[i].content ? chat.messages[i].content : "",
                               chat.messages[i].content_bytes);
        in.messages.push_back(message);
    }
    in.enable_thinking = chat.thinking != HW_THINKING_OFF;
    return in;
}

/* Reports the reason if a template is not well-formed: common_chat_templates_init() throws a copy without it. */
void check_syntax(const std::string &source) {
    jinja::lexer lexer;
    jinja::parse_from_tokens(lexer.tokenize(source));
}

std::string render(const llama_model *model, const hw__chat &chat) {
    const char *own = chat.source ? chat.source : llama_model_chat_template(model, nullptr);
    const std::string source = own ? with_fixed_date(own) : "";
    check_syntax(source);
    auto templates = common_chat_templates_init(model, source);
    return common_chat_templates_apply(templates.get(), inputs_of(chat)).prompt;
}

hw_err refuse(hw_error *err, hw_err code, const char *what, const char *reason) {
    err->code = code;
    std::snprintf(err->msg, sizeof err->msg, "%s%s", what, reason);
    return code;
}

} // namespace

/* The address of llama.cpp's model hub, for the program's downloads. */
extern "C" __attribute__((visibility("default"))) const char *headwater_model_endpoint(void) {
    static std::string address;
    address = common_get_model_endpoint();
    return address.c_str();
}

extern "C" __attribute__((visibility("default"))) hw_err
headwater_render_template(char **bytes, size_t *n, const llama_model *model, const hw__chat *chat, hw_error *err) {
    try {
        silence_log();
        const std::string text = render(model, *chat);
        *bytes = static_cast<char *>(std::malloc(text.size() + 1));
        if (!*bytes) throw std::bad_alloc();
        std::memcpy(*bytes, text.c_str(), text.size() + 1);
        *n = text.size();
        return HW_OK;
    } catch (const std::bad_alloc &) {
        return refuse(err, HW_ERR_MEMORY, "out of memory: rendering the chat template", "");
    } catch (const std::exception &e) {
        return refuse(err, HW_ERR_UNSUPPORTED, "the chat template does not render: ", e.what());
    } catch (...) {
        return refuse(err, HW_ERR_UNSUPPORTED, "the chat template does not render, and no reason is given", "");
    }
}
