/* setting_json.h - values of the tables of settings as members of a JSON object. */
#ifndef HW_FORMATS_SETTING_JSON_H
#define HW_FORMATS_SETTING_JSON_H

#include "base/json.h"
#include "data/arena.h"
#include "data/setting.h"

/* Adds the setting if files hold it. False when memory runs out. */
bool hw__setting_put_json(json_t *object, const void *params, const hw_setting_info *setting);

/* Reads the setting; text is copied into the arena. Errors: FORMAT (missing, of another type, or not accepted),
 * MEMORY. */
hw_err hw__setting_get_json(void *params, const hw_setting_info *setting, const json_t *object, hw__arena *arena,
                            hw_error *err);

#endif
