/* SPDX-License-Identifier: MIT */
#include "base/tmpl.h"

#include <string.h>

static const char data_text[] =
	"{\"ID\":\"abc\",\"N\":3,\"F\":2.5,\"Yes\":true,\"No\":false,\"Nil\":null,\"Empty\":\"\","
	"\"List\":[\"x\",\"y\",\"z\"],\"Ints\":[1,2,3,4],\"None\":[],"
	"\"Labels\":{\"b\":\"two\",\"a\":\"one\"},\"Deep\":{\"A\":{\"B\":[{\"C\":\"end\"}]}},"
	"\"Mixed\":{\"k\":1,\"s\":\"t\"},\"U\":\"h\xc3\xa9llo w\xc3\xb6rld\",\"Html\":\"<a "
	"href='x'>&</a>\"}";

static char *run(const char *text, unsigned flags, struct err *e)
{
	_cleanup_(tmpl_freep) struct tmpl *t = NULL;
	GString *out = g_string_new(NULL);
	json_t *data = json_loads(data_text, 0, NULL);
	char *before = json_dumps(data, 0), *after;
	int r;

	r = tmpl_parse(text, &t, e);
	if (r == 0)
		r = tmpl_run(t, data, flags, out, e);
	after = json_dumps(data, 0);
	g_assert_cmpstr(before, ==, after);
	free(before);
	free(after);
	json_decref(data);
	if (r == 0)
		return g_string_free(out, FALSE);
	g_assert_cmpint(r, ==, e->code);
	g_string_free(out, TRUE);
	return NULL;
}

struct expect {
	const char *text, *want;
};

static void check_all(const struct expect *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err e = {};
		g_autofree char *got = run(x[i].text, 0, &e);

		if (g_strcmp0(got, x[i].want) != 0)
			g_error("%s\n  got  '%s'\n  want '%s'\n  %s", x[i].text, got, x[i].want,
				e.text);
	}
}
#define CHECK_ALL(a) check_all(a, G_N_ELEMENTS(a))

static void test_text(void)
{
	static const struct expect all[] = {
		{ "", "" },
		{ "plain } text {", "plain } text {" },
		{ "{{.ID}}-{{.N}}", "abc-3" },
		{ "a {{- 1 -}} b", "a1b" },
		{ "a {{-1}} b", "a -1 b" },
		{ "{{23 -}} < {{- 45}}", "23<45" },
		{ "a\n\t{{- /* gone */ -}}\n b", "ab" },
		{ "a{{/* }} gone */}}b", "ab" },
		{ "{{ \"}}\" }}", "}}" },
		{ "{{\n.ID\n}}", "abc" },
		{ "{{`raw\\n\n`}}", "raw\\n\n" },
		{ "{{\"\\t\\x41\\u00e9\\101\\\"\"}}", "\tA\xc3\xa9"
						      "A\"" },
		{ "{{'a'}} {{'\\n'}} {{0x1F}} {{0b101}} {{0o17}} {{017}} {{1_000}} {{1e3}} {{.5}} "
		  "{{-7}}",
			"97 10 31 5 15 15 1000 1000 0.5 -7" },
		{ "{{true}} {{false}} {{0x1p-2}} {{1e6}} {{1e100}} {{1e-5}}",
			"true false 0.25 1e+06 1e+100 1e-05" },
	};

	CHECK_ALL(all);
}

static void test_fields(void)
{
	static const struct expect all[] = {
		{ "{{.Deep.A.B}}", "[map[C:end]]" },
		{ "{{(index .Deep.A.B 0).C}}", "end" },
		{ "{{$.ID}} {{$x := .Deep}}{{$x.A.B}}", "abc [map[C:end]]" },
		{ "{{.Labels}} {{.List}} {{.F}} {{.Yes}} {{.Nil}}",
			"map[a:one b:two] [x y z] 2.5 true <no value>" },
		{ "{{.Label \"a\"}}|{{.Label \"zz\"}}|{{\"b\" | .Label}}", "one||two" },
		{ "{{ .Labels.a }}", "one" },
	};

	CHECK_ALL(all);
}

static void test_control(void)
{
	static const struct expect all[] = {
		{ "{{if .Yes}}1{{else}}2{{end}}{{if .No}}1{{else}}2{{end}}", "12" },
		{ "{{if .None}}a{{else if .Nil}}b{{else if .Labels}}c{{else}}d{{end}}", "c" },
		{ "{{if 0}}a{{end}}{{if 0.0}}b{{end}}{{if \"\"}}c{{end}}{{if .F}}d{{end}}", "d" },
		{ "{{with .Deep}}{{.A.B}}{{else}}no{{end}}", "[map[C:end]]" },
		{ "{{with .Nil}}a{{else with .ID}}{{.}}{{else}}c{{end}}", "abc" },
		{ "{{with $x := .ID}}{{$x}}{{end}}", "abc" },
		{ "{{range .List}}<{{.}}>{{end}}", "<x><y><z>" },
		{ "{{range $i, $e := .List}}{{$i}}={{$e}} {{end}}", "0=x 1=y 2=z " },
		{ "{{range $e := .List}}{{$e}}{{$.N}}{{end}}", "x3y3z3" },
		{ "{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=one;b=two;" },
		{ "{{range .None}}a{{else}}none{{end}}{{range .Nil}}a{{else}}nil{{end}}",
			"nonenil" },
		{ "{{range 3}}{{.}}{{end}}{{range $i := .N}}{{$i}}{{end}}", "012012" },
		{ "{{range .Ints}}{{if eq . 2}}{{continue}}{{end}}{{if eq . "
		  "4}}{{break}}{{end}}{{.}}{{end}}!",
			"13!" },
		{ "{{range .List}}{{range $.Ints}}{{break}}{{end}}{{.}}{{end}}", "xyz" },
		{ "{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2" },
		{ "{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21" },
		{ "{{$l := \"\"}}{{range $l = .List}}{{end}}{{$l}}", "z" },
	};

	CHECK_ALL(all);
}

static void test_templates(void)
{
	static const struct expect all[] = {
		{ "{{define \"T1\"}}ONE{{end}}{{define \"T2\"}}TWO{{end}}"
		  "{{define \"T3\"}}{{template \"T1\"}} {{template \"T2\"}}{{end}}{{template "
		  "\"T3\"}}",
			"ONE TWO" },
		{ "{{define \"t\"}}{{.}}{{$}}{{end}}{{template \"t\" .ID}}{{template \"t\"}}",
			"abcabc<no value><no value>" },
		{ "{{block \"b\" .N}}[{{.}}]{{end}}", "[3]" },
		{ "{{define \"down\"}}{{if .}}{{len .}}{{template \"down\" slice . "
		  "1}}{{end}}{{end}}"
		  "{{template \"down\" .List}}",
			"321" },
	};

	CHECK_ALL(all);
}

static void test_pipes(void)
{
	static const struct expect all[] = {
		{ "{{\"\\\"output\\\"\"}}", "\"output\"" },
		{ "{{printf \"%q\" \"output\"}}", "\"output\"" },
		{ "{{\"output\" | printf \"%q\"}}", "\"output\"" },
		{ "{{printf \"%q\" (print \"out\" \"put\")}}", "\"output\"" },
		{ "{{\"put\" | printf \"%s%s\" \"out\" | printf \"%q\"}}", "\"output\"" },
		{ "{{with $x := \"output\" | printf \"%q\"}}{{$x}}{{end}}", "\"output\"" },
		{ "{{.List | len}} {{len (slice .List 1)}}", "3 2" },
		{ "{{.ID|upper|lower|title}}", "Abc" },
	};

	CHECK_ALL(all);
}

static void test_functions(void)
{
	static const struct expect all[] = {
		{ "{{and 1 0 2}} {{and 1 2}} {{or 0 \"\" 3}} {{or 0 \"\"}}|{{not 0}} {{not .ID}}",
			"0 2 3 |true false" },
		{ "{{and false .Nope}} {{or true .Nope}} {{1 | and 2}} {{0 | or 0}}",
			"false true 1 0" },
		{ "{{eq 1 1}} {{eq 1 2 1}} {{ne \"a\" \"b\"}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} "
		  "{{ge 2 2}}",
			"true true true true true false true" },
		{ "{{eq .ID \"abc\"}} {{lt \"a\" \"b\"}} {{lt 1.5 2.5}} {{eq .Yes true}} {{eq .Nil "
		  "nil}}",
			"true true true true true" },
		{ "{{eq .Nil 1}} {{len .U}} {{len .Labels}}", "false 13 2" },
		{ "{{index .List 1}} {{index .Labels \"a\"}} [{{index .Labels \"q\"}}] {{index "
		  ".Mixed \"q\"}}",
			"y one [] <no value>" },
		{ "{{index .Deep.A.B 0 \"C\"}} {{index .ID 1}}", "end 98" },
		{ "{{slice .ID 1}} {{slice .ID 0 1}} {{slice .List 1 2}} {{slice .Ints 1 2 3}}",
			"bc a [y] [2]" },
		{ "{{print 1 2 \"a\" 3 4}} {{print \"a\" \"b\"}} {{print nil}} {{println 1 \"a\"}}",
			"1 2a3 4 ab <nil> 1 a\n" },
		{ "{{html .Html}} {{js \"it's <b>\\n\"}} {{urlquery \"a b&c/\xc3\xa9\"}}",
			"&lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt; it\\'s \\u003Cb\\u003E\\u000A "
			"a+b%26c%2F%C3%A9" },
		{ "{{json .Labels}} {{json .List}} {{json .F}} {{json .Nil}} {{json "
		  "\"<\\n\\u2028\\\"\"}}",
			"{\"b\":\"two\",\"a\":\"one\"} [\"x\",\"y\",\"z\"] 2.5 null "
			"\"<\\n\\u2028\\\"\"" },
		{ "{{json 1e21}} {{json 1e-7}} {{json 1e6}} {{json 100000000.5}}",
			"1e+21 1e-7 1000000 100000000.5" },
		{ "{{join .List \", \"}} {{split \"a,b,c\" \",\"}} {{range split \"a/b\" "
		  "\"/\"}}<{{.}}>{{end}}",
			"x, y, z [a b c] <a><b>" },
		{ "{{split \"a\xc3\xa9\" \"\"}} {{len (split \"\" \",\")}}", "[a \xc3\xa9] 1" },
		{ "{{upper .U}} {{title \"the two-words of_it\"}} {{lower \"ABC\xc3\x89\"}}",
			"H\xc3\x89LLO W\xc3\x96RLD The Two-Words Of_it abc\xc3\xa9" },
		{ "{{truncate .U 3}}| {{truncate .ID 9}} [{{pad .ID 1 2}}] [{{pad \"\" 3 3}}]",
			"h\xc3\xa9l| abc [ abc  ] []" },
	};

	CHECK_ALL(all);
}

static void test_printf(void)
{
	static const struct expect all[] = {
		{ "{{printf \"%d|%5d|%-5d|%05d|%+d|% d\" 42 42 42 42 42 42}}",
			"42|   42|42   |00042|+42| 42" },
		{ "{{printf \"%x %X %#x %o %#o %O %b %c %U %q\" 255 255 255 8 8 8 5 0x41 0x263A "
		  "65}}",
			"ff FF 0xff 10 010 0o10 101 A U+263A 'A'" },
		{ "{{printf \"%s|%10s|%-10s|%.2s|%q|%x|% X\" \"abc\" \"abc\" \"abc\" \"abc\" "
		  "\"a\\n\" \"hi\" \"hi\"}}",
			"abc|       abc|abc       |ab|\"a\\n\"|6869|68 69" },
		{ "{{printf \"%v %v %v %v %v %v\" .N .F .Yes .ID .List .Labels}}",
			"3 2.5 true abc [x y z] map[a:one b:two]" },
		{ "{{printf \"%f|%.2f|%8.3f|%e|%g|%G|%06.1f\" 1.5 2.345 3.14159 1234.5 1e20 1e-7 "
		  "-2.5}}",
			"1.500000|2.35|   3.142|1.234500e+03|1e+20|1E-07|-002.5" },
		{ "{{printf \"%t|%5t|%T %T %T %T\" true false 1 \"s\" .List .Labels}}",
			"true|false|int string []interface {} map[string]interface {}" },
		{ "{{printf \"%q %d %#v %#v\" .List .Ints .List \"a\"}}",
			"[\"x\" \"y\" \"z\"] [1 2 3 4] []interface {}{\"x\", \"y\", \"z\"} \"a\"" },
		{ "{{printf \"%*d|%-*d|%.*f\" 5 1 4 2 1 2.55}}", "    1|2   |2.5" },
		{ "{{printf \"%[2]s %[1]s\" \"a\" \"b\"}}", "b a" },
		{ "{{printf \"%d%%\" 50}} {{printf \"%z\" 1}} {{printf \"%d\" "
		  "\"x\"}}",
			"50% %!z(int=1) %!d(string=x)" },
		{ "{{printf \"%d %d\" 1}} {{printf \"%d\" 1 2 \"x\"}} {{printf \"%s\" nil}} "
		  "{{printf \"%\"}}",
			"1 %!d(MISSING) 1%!(EXTRA int=2, string=x) %!s(<nil>) %!(NOVERB)" },
		{ "{{printf \"%-6s|%6s|\" \"h\xc3\xa9\" \"h\xc3\xa9\"}}",
			"h\xc3\xa9    |    h\xc3\xa9|" },
		{ "{{printf \"%+q %#q %x %08b\" \"h\xc3\xa9\" \"raw\" 1.5 5}}",
			"\"h\\u00e9\" `raw` 0x1.8p+00 00000101" },
		{ "{{printf \"%d\" -9223372036854775808}} {{printf \"%v\" 123456789.0}}",
			"-9223372036854775808 1.23456789e+08" },
	};

	CHECK_ALL(all);
}

static void check_error(const char *text, unsigned flags, const char *want)
{
	struct err e = {};
	g_autofree char *got = run(text, flags, &e);

	if (got || strcmp(e.text, want) != 0)
		g_error("%s\n  got  '%s' %s\n  want %s", text, got, e.text, want);
}

static void test_parse_errors(void)
{
	static const struct expect all[] = {
		{ "{{.ID", "template: :1: unclosed action" },
		{ "a\nb {{nope 1}}", "template: :2: function \"nope\" not defined" },
		{ "{{if .ID}}a", "template: :1: unexpected EOF" },
		{ "{{end}}", "template: :1: unexpected {{end}}" },
		{ "{{else}}", "template: :1: unexpected {{else}}" },
		{ "{{if}}{{end}}", "template: :1: missing value for if" },
		{ "{{}}", "template: :1: missing value for command" },
		{ "{{$x}}", "template: :1: undefined variable \"$x\"" },
		{ "{{if true}}{{$x := 1}}{{end}}{{$x}}",
			"template: :1: undefined variable \"$x\"" },
		{ "{{\"abc}}", "template: :1: unterminated quoted string" },
		{ "{{/* abc}}", "template: :1: unclosed comment" },
		{ "{{(.ID}}", "template: :1: unclosed left paren" },
		{ "{{.ID)}}", "template: :1: unexpected right paren" },
		{ "{{.ID | 1}}", "template: :1: non executable command in pipeline stage 2" },
		{ "{{break}}", "template: :1: {{break}} outside {{range}}" },
		{ "{{1x}}", "template: :1: bad number syntax: \"1x\"" },
		{ "{{.ID @}}", "template: :1: bad character U+0040 in action" },
		{ "{{\"\\q\"}}", "template: :1: invalid syntax in string \"\\q\"" },
		{ "{{1.ID}}", "template: :1: bad number syntax: \"1.ID\"" },
		{ "{{\"a\".ID}}", "template: :1: unexpected . after term \"\"a\"\"" },
		{ "{{if .ID}}{{define \"x\"}}{{end}}{{end}}",
			"template: :1: unexpected \"define\" in command" },
		{ "{{define \"x\"}}a{{end}}{{define \"x\"}}b{{end}}",
			"template: :1: multiple definition of template \"x\"" },
		{ "{{range $a, $b, $c := .List}}{{end}}",
			"template: :1: too many declarations in range" },
		{ "{{if .ID}}a{{else}}b{{else}}c{{end}}",
			"template: :1: expected end; found {{else}}" },
		{ "{{template 1}}", "template: :1: unexpected \"1\" in template clause" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		check_error(all[i].text, 0, all[i].want);
}

static void test_run_errors(void)
{
	static const struct expect all[] = {
		{ "{{.Foo}}", "template: :1:2: executing \"\" at <.Foo>: map has no entry for key "
			      "\"Foo\"" },
		{ "ab\n {{.ID.Foo}}", "template: :2:3: executing \"\" at <.ID.Foo>: can't evaluate "
				      "field Foo in type string" },
		{ "{{.Nil.Foo}}", "template: :1:2: executing \"\" at <.Nil.Foo>: nil pointer "
				  "evaluating interface {}.Foo" },
		{ "{{eq .ID 1}}", "template: :1:2: executing \"\" at <eq .ID 1>: error calling eq: "
				  "incompatible types for comparison" },
		{ "{{eq .List .List}}",
			"template: :1:2: executing \"\" at <eq .List .List>: error calling "
			"eq: non-comparable type []interface {}" },
		{ "{{eq 1 1.0}}", "template: :1:2: executing \"\" at <eq 1 1.0>: error calling eq: "
				  "incompatible types for comparison" },
		{ "{{lt true false}}",
			"template: :1:2: executing \"\" at <lt true false>: error calling "
			"lt: invalid type for comparison" },
		{ "{{index .List 5}}",
			"template: :1:2: executing \"\" at <index .List 5>: error calling "
			"index: index out of range: 5" },
		{ "{{len 3}}", "template: :1:2: executing \"\" at <len 3>: error calling len: len "
			       "of type int" },
		{ "{{upper 3 | printf \"%s\"}}",
			"template: :1:2: executing \"\" at <upper 3>: error calling "
			"upper: wrong type for value; expected string; got int" },
		{ "{{upper}}", "template: :1:2: executing \"\" at <upper>: wrong number of args "
			       "for upper: "
			       "want 1 got 0" },
		{ "{{template \"x\"}}", "template: :1:2: executing \"\" at <template>: template "
					"\"x\" not defined" },
		{ "{{range .ID}}{{end}}",
			"template: :1:8: executing \"\" at <.ID>: range can't iterate over abc" },
		{ "{{nil}}", "template: :1:2: executing \"\" at <nil>: nil is not a command" },
		{ "{{1 2}}", "template: :1:2: executing \"\" at <1>: can't give argument to "
			     "non-function 1" },
		{ "{{.ID 1}}", "template: :1:2: executing \"\" at <.ID>: ID is not a method but "
			       "has arguments" },
		{ "{{define \"t\"}}{{.X}}{{end}}{{template \"t\" .Labels}}",
			"template: :1:16: executing \"t\" at <.X>: map has no entry for key "
			"\"X\"" },
		{ "{{range 1000000000}}{{range 1000000000}}{{end}}{{end}}",
			"template: too many steps" },
		{ "{{define \"t\"}}{{template \"t\"}}{{end}}{{template \"t\"}}",
			"template: templates are nested too deeply" },
		{ "{{$x := \"0123456789abcdef\"}}{{range 30}}{{$x = print $x $x}}{{end}}",
			"template: :1:47: executing \"\" at <print $x $x>: error calling print: "
			"text of more than 16777216 bytes" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		check_error(all[i].text, 0, all[i].want);
}

static void test_nesting(void)
{
	GString *good = g_string_new(NULL), *bad = g_string_new("{{");
	struct err e = {};
	g_autofree char *got = NULL;

	for (int i = 0; i < 60; i++)
		g_string_append(good, "{{if 1}}");
	for (int i = 0; i < 60; i++)
		g_string_append(good, "{{end}}");
	got = run(good->str, 0, &e);
	g_assert_cmpstr(got, ==, "");
	for (int i = 0; i < 100; i++)
		g_string_append_c(bad, '(');
	check_error(bad->str, 0, "template: :1: unclosed action");
	g_string_append_c(bad, '1');
	for (int i = 0; i < 100; i++)
		g_string_append_c(bad, ')');
	g_string_append(bad, "}}");
	check_error(bad->str, 0, "template: :1: more than 64 levels of nesting");
	g_string_free(good, TRUE);
	g_string_free(bad, TRUE);
}

static void test_missing(void)
{
	struct err e = {};
	g_autofree char *got = run("{{.Foo}} {{.Foo.Bar}} {{.ID}}", TMPL_MISSING_NOVALUE, &e);

	g_assert_cmpstr(got, ==, "<no value> <no value> abc");
	check_error("{{.ID.Bar}}", TMPL_MISSING_NOVALUE,
		"template: :1:2: executing \"\" at <.ID.Bar>: can't evaluate field Bar in type "
		"string");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tmpl/text", test_text);
	g_test_add_func("/tmpl/fields", test_fields);
	g_test_add_func("/tmpl/control", test_control);
	g_test_add_func("/tmpl/templates", test_templates);
	g_test_add_func("/tmpl/pipes", test_pipes);
	g_test_add_func("/tmpl/functions", test_functions);
	g_test_add_func("/tmpl/printf", test_printf);
	g_test_add_func("/tmpl/parse-errors", test_parse_errors);
	g_test_add_func("/tmpl/run-errors", test_run_errors);
	g_test_add_func("/tmpl/nesting", test_nesting);
	g_test_add_func("/tmpl/missing", test_missing);
	return g_test_run();
}
