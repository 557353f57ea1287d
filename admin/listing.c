/* SPDX-License-Identifier: Apache-2.0
 *
 * The two shapes of most verbs: rows shown as a table or as JSON (client_list), and a change with the broker's word on it
 * (client_change).
 */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"

#define COLUMNS_MAX 16
#define PARTS_MAX   4

/* ---- lists ---- */

struct gathering {
	struct asking asking;
	const struct listing *listing;
	json_t *rows;
	struct table *table; /* NULL: none is wanted */
	struct {
		json_t *rows;
		struct table *table; /* NULL: none is wanted */
	} parts[PARTS_MAX];
	bool strange; /* a row of another type came */
};

static size_t
part_count(const struct listing *listing)
{
	size_t count = 0;

	while (listing->parts && count < PARTS_MAX && listing->parts[count].key)
		count++;
	return count;
}

static void
add_cells(struct table *table, void (*fill)(const union admin_body *body, char (*cells)[CELL_LEN]),
    const union admin_body *body)
{
	char cells[COLUMNS_MAX][CELL_LEN];
	const char *texts[COLUMNS_MAX];

	memset(cells, 0, sizeof cells);
	fill(body, cells);
	for (size_t i = 0; i < COLUMNS_MAX; i++)
		texts[i] = cells[i];
	table_row(table, texts);
}

static bool
gather_part(struct gathering *gathering, uint16_t number, const union admin_body *body)
{
	const struct part *parts = gathering->listing->parts;

	for (size_t i = 0; i < part_count(gathering->listing); i++) {
		if (parts[i].row != number)
			continue;
		output_append(gathering->parts[i].rows, output_object(&admin_row(number)->type, body));
		if (gathering->parts[i].table != NULL)
			add_cells(gathering->parts[i].table, parts[i].cells, body);
		return true;
	}
	return false;
}

static void
gather(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct gathering *gathering = asking->context;
	const struct listing *listing = gathering->listing;

	if (gather_part(gathering, number, body))
		return;
	if (number != listing->row) {
		gathering->strange = true;
		return;
	}
	output_append(gathering->rows, output_object(&admin_row(number)->type, body));
	if (gathering->table != NULL)
		add_cells(gathering->table, listing->cells, body);
}

/* "name  value" lines of one row. */
static void
print_fields(struct admin *admin, const json_t *object)
{
	static const char *const titles[] = {"FIELD", "VALUE", NULL};
	struct table *table = table_new(titles);
	const char *key;
	json_t *value;

	/* jansson's iterator takes an object that is not const, and only reads it. */
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		char *text = json_is_string(value) || json_is_null(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
		const char *cells[] = {key, json_is_string(value) ? json_string_value(value) : text};

		table_row(table, cells);
		free(text);
	}
	table_print(admin, table, "");
}

static void
show_single(struct admin *admin, struct gathering *gathering)
{
	const struct part *parts = gathering->listing->parts;
	json_t *object = json_array_get(gathering->rows, 0);

	for (size_t i = 0; i < part_count(gathering->listing) && admin->json; i++)
		output_put(object, parts[i].key, json_incref(gathering->parts[i].rows));
	if (admin->json) {
		output_json(json_incref(object));
		return;
	}
	print_fields(admin, object);
	for (size_t i = 0; i < part_count(gathering->listing); i++) {
		if (json_array_size(gathering->parts[i].rows) == 0)
			continue;
		printf("\n");
		table_print(admin, TAKE(gathering->parts[i].table), "");
	}
}

static int
show_gathered(struct admin *admin, struct gathering *gathering, int code)
{
	const struct listing *listing = gathering->listing;
	size_t count = json_array_size(gathering->rows);

	if (gathering->strange && code == ADMIN_OK)
		code = verb_fail(admin, ADMIN_FAILURE, "netbusd answered with rows that were not asked for");
	else if (listing->single && code == ADMIN_OK && count == 0)
		code = verb_fail(admin, ADMIN_NOT_FOUND, "%s", listing->empty);
	if (code != ADMIN_OK && count == 0) {
		table_free(gathering->table);
		json_decref(gathering->rows);
		return code;
	}
	if (gathering->table != NULL)
		table_print(admin, gathering->table, listing->empty);
	else if (!listing->single)
		output_json(json_incref(gathering->rows));
	else
		show_single(admin, gathering);
	json_decref(gathering->rows);
	return code;
}

static void
begin_gathering(const struct admin *admin, struct gathering *gathering)
{
	const struct listing *listing = gathering->listing;

	gathering->rows = verb_memory(json_array());
	if (!admin->json && listing->cells != NULL)
		gathering->table = table_new(listing->titles);
	for (size_t i = 0; i < part_count(listing); i++) {
		gathering->parts[i].rows = verb_memory(json_array());
		if (!admin->json)
			gathering->parts[i].table = table_new(listing->parts[i].titles);
	}
}

int
client_list(struct admin *admin, uint16_t number, const void *request, const struct listing *listing)
{
	struct gathering gathering = {.asking = {.take = gather, .context = &gathering}, .listing = listing};
	int code;

	begin_gathering(admin, &gathering);
	code = client_ask(admin, number, request, &gathering.asking);
	code = show_gathered(admin, &gathering, code);
	for (size_t i = 0; i < part_count(listing); i++) {
		table_free(gathering.parts[i].table);
		json_decref(gathering.parts[i].rows);
	}
	return code;
}

/* ---- changes ---- */

struct changing {
	struct asking asking;
	struct admin *admin;
	const struct row_kind *kinds;
	json_t *rows; /* key -> array */
};

static void
say_row(struct admin *admin, uint16_t number, const union admin_body *body)
{
	const struct msg_row_receipt *receipt = &body->row_receipt;
	struct faults faults;
	struct fault fault = {0};
	char text[sizeof body->row_fault.text], lease[CELL_LEN];

	if (number == ADMIN_ROW_RECEIPT) {
		cell_lease(lease, receipt->lease);
		verb_say(admin, "lease %s of %s on %s at %s: %s", lease, receipt->vm, receipt->share, receipt->host,
		    receipt->outcome);
	} else if (number == ADMIN_ROW_FAULT) {
		memcpy(text, body->row_fault.text, sizeof text);
		fault.text = text;
		faults = (struct faults){.first = &fault, .last = &fault.next, .count = 1};
		verb_faults(admin, &faults, 0);
	}
}

static void
take_change(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct changing *changing = asking->context;

	for (const struct row_kind *kind = changing->kinds; kind != NULL && kind->key != NULL; kind++)
		if (kind->row == number)
			output_append(
			    json_object_get(changing->rows, kind->key), output_object(&admin_row(number)->type, body));
	if (!changing->admin->json)
		say_row(changing->admin, number, body);
}

int
client_change(struct admin *admin, uint16_t number, const void *request, const struct row_kind *kinds)
{
	struct changing changing = {
	    .asking = {.take = take_change, .context = &changing}, .admin = admin, .kinds = kinds};
	int code;

	changing.rows = verb_memory(json_object());
	for (const struct row_kind *kind = kinds; kind != NULL && kind->key != NULL; kind++)
		output_put(changing.rows, kind->key, json_array());
	code = client_ask(admin, number, request, &changing.asking);
	/* An exit code that is not DONE's means that no answer came, and there is nothing to tell a program but the exit code. */
	if (admin->json && code == changing.asking.done.exit_code) {
		json_t *object = output_object(&admin_row(ADMIN_DONE)->type, &changing.asking.done);

		if (json_object_update(object, changing.rows) < 0)
			verb_memory(NULL);
		output_json(object);
	} else if (admin->dry_run && code == ADMIN_OK) {
		verb_say(admin, "Nothing was changed: this was a dry run.");
	}
	json_decref(changing.rows);
	return code;
}
