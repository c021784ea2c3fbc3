-- Schema shadow's compat functions and the type shadow.value: SQLite's meaning where PostgreSQL has no native form.
-- Every statement can be run again. Functions are IMMUTABLE unless they ask for the time (STABLE) or chance (VOLATILE).
CREATE SCHEMA IF NOT EXISTS shadow;

-- Any SQLite value but NULL. cls: 1 number, 2 text, 3 blob, so that row comparison orders as SQLite does across types.
-- A real has a scale of at least 1 ('5.0'), an integer of 0; '0.00' is -0.0. See values/codec.py.
DO $$ BEGIN
    IF to_regtype('shadow.value') IS NULL THEN
        CREATE TYPE shadow.value AS (cls smallint, num numeric, txt text COLLATE "C", blob bytea);
    END IF;
END $$;

-- ---------------------------------------------------------------- making values

CREATE OR REPLACE FUNCTION shadow.v(x bigint) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT ROW(1, x::numeric, NULL, NULL)::shadow.value $$;

CREATE OR REPLACE FUNCTION shadow.v(x text) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT ROW(2, NULL, x, NULL)::shadow.value $$;

CREATE OR REPLACE FUNCTION shadow.v(x bytea) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT ROW(3, NULL, NULL, x)::shadow.value $$;

CREATE OR REPLACE FUNCTION shadow.v(x boolean) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT ROW(1, x::int::numeric, NULL, NULL)::shadow.value $$;

-- The digits of a real as values/codec.py writes them: in full where integers can be equal to it, else the shortest.
CREATE OR REPLACE FUNCTION shadow.v(x double precision) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT ROW(1, CASE
    WHEN x = 'Infinity' OR x = '-Infinity' THEN x::numeric
    WHEN x = 0 THEN CASE WHEN x::text = '-0' THEN 0.00 ELSE 0.0 END
    WHEN abs(x) >= 9007199254740992 AND x >= -9223372036854775808 AND x < 9223372036854775808
        THEN round(x::bigint::numeric, 1)
    WHEN scale(x::text::numeric) = 0 THEN round(x::text::numeric, 1)
    ELSE x::text::numeric END, NULL, NULL)::shadow.value $$;

CREATE OR REPLACE FUNCTION shadow.v(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT x $$;

CREATE OR REPLACE FUNCTION shadow.is_int(x numeric) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT COALESCE(scale(x) = 0, false) $$;

CREATE OR REPLACE FUNCTION shadow.typeof(x shadow.value) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE (x).cls WHEN 1 THEN CASE WHEN shadow.is_int((x).num) THEN 'integer' ELSE 'real' END
    WHEN 2 THEN 'text' WHEN 3 THEN 'blob' ELSE 'null' END $$;

-- ---------------------------------------------------------------- numbers in text

CREATE OR REPLACE FUNCTION shadow.is_number(x text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT x ~ '^[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\v\f\r]*$' $$;

CREATE OR REPLACE FUNCTION shadow.is_integer(x text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT x ~ '^[ \t\n\v\f\r]*[+-]?[0-9]{1,18}[ \t\n\v\f\r]*$' $$;

-- A number's text as a value: an integer if it is one of 64 bit, else a real. Too big is infinite, too small is zero.
CREATE OR REPLACE FUNCTION shadow.parse(x text) RETURNS shadow.value LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE n numeric;
BEGIN
    x := btrim(x, E' \t\n\v\f\r');
    IF x ~ '^[+-]?[0-9]+$' THEN
        n := x::numeric;
        IF n BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
            RETURN ROW(1, n, NULL, NULL)::shadow.value;
        END IF;
    END IF;
    RETURN shadow.v(shadow.float(x));
END $$;

CREATE OR REPLACE FUNCTION shadow.float(x text) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN x::double precision;
EXCEPTION WHEN numeric_value_out_of_range THEN
    IF x ~ '[eE]-' OR x ~ '^[+-]?0*\.' THEN RETURN 0; END IF;
    RETURN CASE WHEN x LIKE '-%' THEN '-Infinity' ELSE 'Infinity' END;
END $$;

-- The number at the start of a text, 0 if there is none.
CREATE OR REPLACE FUNCTION shadow.number(x text) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.parse(COALESCE(
    substring(x from '^[ \t\n\v\f\r]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)'), '0')) $$;

CREATE OR REPLACE FUNCTION shadow.bytes_text(x bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT convert_from(CASE WHEN position('\x00'::bytea IN x) > 0
    THEN substr(x, 1, position('\x00'::bytea IN x) - 1) ELSE x END, 'LATIN1') $$;

CREATE OR REPLACE FUNCTION shadow.number(x bytea) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.number(shadow.bytes_text(x)) $$;

CREATE OR REPLACE FUNCTION shadow.number(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE (x).cls WHEN 1 THEN x WHEN 2 THEN shadow.number((x).txt) ELSE shadow.number((x).blob) END $$;

-- Numeric affinity in comparisons: text that is a number becomes one.
CREATE OR REPLACE FUNCTION shadow.numeric(x text) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN shadow.is_number(x) THEN shadow.parse(x) ELSE shadow.v(x) END $$;

CREATE OR REPLACE FUNCTION shadow.numeric(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 2 THEN shadow.numeric((x).txt) ELSE x END $$;

-- ---------------------------------------------------------------- text of numbers

CREATE OR REPLACE FUNCTION shadow.text(x double precision) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET extra_float_digits = 0 AS $$
DECLARE t text := x::text;
BEGIN
    IF t = 'Infinity' THEN RETURN 'Inf'; END IF;
    IF t = '-Infinity' THEN RETURN '-Inf'; END IF;
    IF t = '-0' THEN RETURN '0.0'; END IF;
    IF strpos(t, '.') > 0 THEN RETURN t; END IF;
    IF strpos(t, 'e') > 0 THEN RETURN replace(t, 'e', '.0e'); END IF;
    RETURN t || '.0';
END $$;

CREATE OR REPLACE FUNCTION shadow.real_of(x numeric) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT x::double precision $$;

CREATE OR REPLACE FUNCTION shadow.text(x bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT convert_from(x, 'UTF8') $$;

CREATE OR REPLACE FUNCTION shadow.text(x text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT x $$;

CREATE OR REPLACE FUNCTION shadow.text(x shadow.value) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE (x).cls
    WHEN 1 THEN CASE WHEN shadow.is_int((x).num) THEN (x).num::text ELSE shadow.text((x).num::double precision) END
    WHEN 2 THEN (x).txt ELSE convert_from((x).blob, 'UTF8') END $$;

-- All the digits, for functions that read the number again.
CREATE OR REPLACE FUNCTION shadow.digits(x shadow.value) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE (x).cls WHEN 1 THEN (x).num::text WHEN 2 THEN (x).txt ELSE convert_from((x).blob, 'UTF8') END $$;

CREATE OR REPLACE FUNCTION shadow.textual(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 1 THEN shadow.v(shadow.text(x)) ELSE x END $$;

CREATE OR REPLACE FUNCTION shadow.nocase(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 2 THEN shadow.v(lower((x).txt COLLATE "C")) ELSE x END $$;

CREATE OR REPLACE FUNCTION shadow.rtrim(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 2 THEN shadow.v(rtrim((x).txt, ' ')) ELSE x END $$;

-- ---------------------------------------------------------------- truth and CAST

CREATE OR REPLACE FUNCTION shadow.truth(x text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (shadow.number(x)).num <> 0 $$;
CREATE OR REPLACE FUNCTION shadow.truth(x bytea) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (shadow.number(x)).num <> 0 $$;
CREATE OR REPLACE FUNCTION shadow.truth(x shadow.value) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (shadow.number(x)).num <> 0 $$;

CREATE OR REPLACE FUNCTION shadow.integer(x numeric) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN x >= 9223372036854775807 THEN 9223372036854775807
    WHEN x <= -9223372036854775808 THEN (-9223372036854775808)::bigint ELSE trunc(x)::bigint END $$;
CREATE OR REPLACE FUNCTION shadow.integer(x double precision) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN x >= 9223372036854775808 THEN 9223372036854775807
    WHEN x <= -9223372036854775808 THEN (-9223372036854775808)::bigint ELSE trunc(x)::bigint END $$;
CREATE OR REPLACE FUNCTION shadow.integer(x text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.integer(COALESCE(substring(x from '^[ \t\n\v\f\r]*([+-]?[0-9]+)'), '0')::numeric) $$;
CREATE OR REPLACE FUNCTION shadow.integer(x bytea) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.integer(shadow.bytes_text(x)) $$;
CREATE OR REPLACE FUNCTION shadow.integer(x shadow.value) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE (x).cls WHEN 1 THEN shadow.integer((x).num) WHEN 2 THEN shadow.integer((x).txt)
    ELSE shadow.integer((x).blob) END $$;

CREATE OR REPLACE FUNCTION shadow.real(x text) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (shadow.number(x)).num::double precision $$;
CREATE OR REPLACE FUNCTION shadow.real(x bytea) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (shadow.number(x)).num::double precision $$;
CREATE OR REPLACE FUNCTION shadow.real(x shadow.value) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (shadow.number(x)).num::double precision $$;

-- CAST AS NUMERIC: a real that is an integer becomes one when it came from text.
CREATE OR REPLACE FUNCTION shadow.whole(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 1 AND NOT shadow.is_int((x).num) AND abs((x).num) < 9223372036854775807
    AND (x).num = trunc((x).num) THEN ROW(1, trunc((x).num), NULL, NULL)::shadow.value ELSE x END $$;
CREATE OR REPLACE FUNCTION shadow.cast_numeric(x text) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.whole(shadow.number(x)) $$;
CREATE OR REPLACE FUNCTION shadow.cast_numeric(x bytea) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.whole(shadow.number(x)) $$;
CREATE OR REPLACE FUNCTION shadow.cast_numeric(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 1 THEN x ELSE shadow.whole(shadow.number(x)) END $$;

CREATE OR REPLACE FUNCTION shadow.blob(x text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT convert_to(x, 'UTF8') $$;
CREATE OR REPLACE FUNCTION shadow.blob(x bigint) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT convert_to(x::text, 'UTF8') $$;
CREATE OR REPLACE FUNCTION shadow.blob(x double precision) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT convert_to(shadow.text(x), 'UTF8') $$;
CREATE OR REPLACE FUNCTION shadow.blob(x shadow.value) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 3 THEN (x).blob ELSE convert_to(shadow.text(x), 'UTF8') END $$;

-- ---------------------------------------------------------------- storing: the value as SQLite keeps it, or an error

CREATE OR REPLACE FUNCTION shadow.store_numeric(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.whole(shadow.numeric(x)) $$;
CREATE OR REPLACE FUNCTION shadow.store_real(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (shadow.numeric(x)).cls = 1 THEN shadow.v((shadow.numeric(x)).num::double precision) ELSE x END $$;

CREATE OR REPLACE FUNCTION shadow.misfit(kind text, target text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE EXCEPTION 'shadow: % does not fit a column of type %', kind, target USING ERRCODE = 'invalid_text_representation';
END $$;

CREATE OR REPLACE FUNCTION shadow.to_bigint(x shadow.value) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE w shadow.value := shadow.whole(shadow.numeric(x));
BEGIN
    IF w.cls = 1 AND shadow.is_int(w.num) THEN RETURN w.num::bigint; END IF;
    PERFORM shadow.misfit(shadow.typeof(w), 'bigint');
END $$;

CREATE OR REPLACE FUNCTION shadow.to_double(x shadow.value) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF x.cls = 1 AND NOT shadow.is_int(x.num) THEN RETURN x.num::double precision; END IF;
    PERFORM shadow.misfit(shadow.typeof(x), 'double precision');
END $$;

CREATE OR REPLACE FUNCTION shadow.to_text(x shadow.value) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF x.cls = 2 THEN RETURN x.txt; END IF;
    PERFORM shadow.misfit(shadow.typeof(x), 'text');
END $$;

CREATE OR REPLACE FUNCTION shadow.to_bytea(x shadow.value) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF x.cls = 3 THEN RETURN x.blob; END IF;
    PERFORM shadow.misfit(shadow.typeof(x), 'bytea');
END $$;

CREATE OR REPLACE FUNCTION shadow.to_boolean(x bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF x IN (0, 1) THEN RETURN x = 1; END IF;
    PERFORM shadow.misfit('an integer other than 0 and 1', 'boolean');
END $$;

CREATE OR REPLACE FUNCTION shadow.to_boolean(x shadow.value) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.to_boolean(shadow.to_bigint(x)) $$;

-- Text into a column of numeric affinity (TIMESTAMP, BOOLEAN ...): what looks like a number would be stored as one.
CREATE OR REPLACE FUNCTION shadow.keep_text(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF shadow.is_number(x) THEN PERFORM shadow.misfit('a number', 'text'); END IF;
    RETURN x;
END $$;

-- ---------------------------------------------------------------- arithmetic on mixed values

CREATE OR REPLACE FUNCTION shadow.calculate(op text, a numeric, b numeric) RETURNS shadow.value LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE n numeric; x double precision; y double precision; i bigint; j bigint;
BEGIN
    IF op = '%' THEN
        i := shadow.integer(a); j := shadow.integer(b);
        IF j = 0 THEN RETURN NULL; END IF;
        IF shadow.is_int(a) AND shadow.is_int(b) THEN RETURN shadow.v(i % j); END IF;
        RETURN shadow.v((i % j)::double precision);
    END IF;
    IF op = '/' AND b = 0 THEN RETURN NULL; END IF;
    IF shadow.is_int(a) AND shadow.is_int(b) THEN
        n := CASE op WHEN '+' THEN a + b WHEN '-' THEN a - b WHEN '*' THEN a * b ELSE trunc(a / b) END;
        IF n BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
            RETURN ROW(1, trunc(n), NULL, NULL)::shadow.value;
        END IF;
    END IF;
    x := a::double precision; y := b::double precision;
    RETURN shadow.v(CASE op WHEN '+' THEN x + y WHEN '-' THEN x - y WHEN '*' THEN x * y ELSE x / y END);
END $$;

CREATE OR REPLACE FUNCTION shadow.add(a shadow.value, b shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.calculate('+', (shadow.number(a)).num, (shadow.number(b)).num) $$;
CREATE OR REPLACE FUNCTION shadow.subtract(a shadow.value, b shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.calculate('-', (shadow.number(a)).num, (shadow.number(b)).num) $$;
CREATE OR REPLACE FUNCTION shadow.multiply(a shadow.value, b shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.calculate('*', (shadow.number(a)).num, (shadow.number(b)).num) $$;
CREATE OR REPLACE FUNCTION shadow.divide(a shadow.value, b shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.calculate('/', (shadow.number(a)).num, (shadow.number(b)).num) $$;
CREATE OR REPLACE FUNCTION shadow.modulo(a shadow.value, b shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.calculate('%', (shadow.number(a)).num, (shadow.number(b)).num) $$;

CREATE OR REPLACE FUNCTION shadow.shift_left(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN b < 0 THEN CASE WHEN b <= -64 THEN CASE WHEN a < 0 THEN -1 ELSE 0 END ELSE a >> (-b)::int END
    WHEN b >= 64 THEN 0 ELSE a << b::int END $$;
CREATE OR REPLACE FUNCTION shadow.shift_right(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN b < 0 THEN CASE WHEN b <= -64 THEN 0 ELSE a << (-b)::int END
    WHEN b >= 64 THEN CASE WHEN a < 0 THEN -1 ELSE 0 END ELSE a >> b::int END $$;

CREATE OR REPLACE FUNCTION shadow.abs(x shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 1 THEN ROW(1, abs((x).num), NULL, NULL)::shadow.value
    ELSE shadow.v(abs(shadow.real(x))) END $$;
CREATE OR REPLACE FUNCTION shadow.sign(x shadow.value) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (shadow.numeric(x)).cls = 1 THEN sign((shadow.numeric(x)).num)::bigint END $$;

-- All binary digits of a double as decimals.
CREATE OR REPLACE FUNCTION shadow.exact(x double precision) RETURNS numeric LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE whole numeric := trunc(x)::bigint::numeric; rest double precision := x - trunc(x); n numeric := 0; unit numeric := 1; part bigint;
BEGIN
    FOR i IN 1 .. 3 LOOP
        EXIT WHEN rest = 0;
        rest := rest * 16777216; part := trunc(rest)::bigint; rest := rest - part;
        unit := unit / 16777216::numeric(40, 30);
        n := n + part * (0.000000059604644775390625 ^ i);
    END LOOP;
    RETURN whole + n;
END $$;
-- SQLite rounds the decimal digits that it would print, halves away from zero.
CREATE OR REPLACE FUNCTION shadow.round(x double precision, digits bigint) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN abs(x) > 4503599627370496 THEN x
    WHEN digits <= 0 THEN trunc(x + CASE WHEN x < 0 THEN -0.5 ELSE 0.5 END)
    ELSE round(x::text::numeric, least(digits, 30)::int)::double precision END $$;

CREATE OR REPLACE FUNCTION shadow.math(x shadow.value) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (shadow.numeric(x)).cls = 1 THEN (shadow.numeric(x)).num::double precision END $$;

DO $do$
DECLARE f record;
BEGIN
    FOR f IN SELECT * FROM (VALUES
        ('sqrt', 'CASE WHEN x >= 0 THEN sqrt(x) END'), ('exp', 'exp(x)'), ('ln', 'CASE WHEN x > 0 THEN ln(x) END'),
        ('log10', 'CASE WHEN x > 0 THEN log(x) END'), ('log2', 'CASE WHEN x > 0 THEN ln(x) / ln(2::double precision) END'),
        ('sin', 'sin(x)'), ('cos', 'cos(x)'), ('tan', 'tan(x)'), ('atan', 'atan(x)'),
        ('asin', 'CASE WHEN abs(x) <= 1 THEN asin(x) END'), ('acos', 'CASE WHEN abs(x) <= 1 THEN acos(x) END'),
        ('radians', 'radians(x)'), ('degrees', 'degrees(x)')) AS t(name, body)
    LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION shadow.%I(x double precision) RETURNS double precision '
            'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS %L', f.name, 'SELECT ' || f.body);
    END LOOP;
    FOR f IN SELECT * FROM (VALUES
        ('power', 'power(x, y)'), ('atan2', 'atan2(x, y)'),
        ('logb', 'CASE WHEN x > 0 AND y > 0 AND x <> 1 THEN ln(y) / ln(x) END'),
        ('fmod', 'CASE WHEN y <> 0 THEN x - y * trunc(x / y) END')) AS t(name, body)
    LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION shadow.%I(x double precision, y double precision) '
            'RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS %L', f.name, 'SELECT ' || f.body);
    END LOOP;
END $do$;

CREATE OR REPLACE FUNCTION shadow.scalar_min(VARIADIC x shadow.value[]) RETURNS shadow.value LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN bool_and(NOT (e IS NULL)) THEN (array_agg(e ORDER BY e, n))[1] END FROM (SELECT n, x[n] AS e FROM generate_subscripts(x, 1) AS n) AS t $$;
CREATE OR REPLACE FUNCTION shadow.scalar_max(VARIADIC x shadow.value[]) RETURNS shadow.value LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN bool_and(NOT (e IS NULL)) THEN (array_agg(e ORDER BY e DESC, n))[1] END FROM (SELECT n, x[n] AS e FROM generate_subscripts(x, 1) AS n) AS t $$;

-- ---------------------------------------------------------------- text functions

CREATE OR REPLACE FUNCTION shadow.glob_pattern(p text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE r text := '^'; i int := 1; n int := length(p); c text; j int; body text;
BEGIN
    WHILE i <= n LOOP
        c := substr(p, i, 1);
        IF c = '*' THEN r := r || '.*';
        ELSIF c = '?' THEN r := r || '.';
        ELSIF c = '[' THEN
            j := i + 1;
            IF substr(p, j, 1) = '^' THEN j := j + 1; END IF;
            IF substr(p, j, 1) = ']' THEN j := j + 1; END IF;
            WHILE j <= n AND substr(p, j, 1) <> ']' LOOP j := j + 1; END LOOP;
            IF j > n THEN RETURN '^.^'; END IF;
            body := substr(p, i + 1, j - i - 1);
            r := r || '[' || CASE WHEN body LIKE '^%' THEN '^' ELSE '' END
                || replace(replace(replace(ltrim(body, '^'), '\', '\\'), '[', '\['), ']', '\]') || ']';
            i := j;
        ELSE r := r || regexp_replace(c, '([^[:alnum:] ])', '\\\1');
        END IF;
        i := i + 1;
    END LOOP;
    RETURN r || '$';
END $$;

CREATE OR REPLACE FUNCTION shadow.glob(p text, x text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT x COLLATE "C" ~ ('(?s)' || shadow.glob_pattern(p)) $$;

CREATE OR REPLACE FUNCTION shadow."like"(p text, x text, e text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF length(e) <> 1 THEN
        RAISE EXCEPTION 'ESCAPE expression must be a single character' USING ERRCODE = 'invalid_escape_sequence';
    END IF;
    RETURN lower(x COLLATE "C") LIKE lower(p COLLATE "C") ESCAPE lower(e COLLATE "C");
END $$;

CREATE OR REPLACE FUNCTION shadow.length(x shadow.value) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 3 THEN length((x).blob) ELSE length(shadow.text(x)) END::bigint $$;

-- substr(x, start [, count]) with SQLite's meaning of zero and negative numbers: first place and length, from 1.
CREATE OR REPLACE FUNCTION shadow.slice(total bigint, start bigint, count bigint, OUT place int, OUT size int) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE p1 bigint := start; p2 bigint := COALESCE(count, 4611686018427387904);
BEGIN
    IF p1 < 0 THEN
        p1 := p1 + total;
        IF p1 < 0 THEN
            p2 := CASE WHEN p2 < 0 THEN 0 ELSE p2 + p1 END;
            p1 := 0;
        END IF;
    ELSIF p1 > 0 THEN p1 := p1 - 1;
    ELSIF p2 > 0 THEN p2 := p2 - 1;
    END IF;
    IF p2 < 0 THEN
        IF p2 < -p1 THEN p2 := p1; ELSE p2 := -p2; END IF;
        p1 := p1 - p2;
    END IF;
    IF p2 < 0 THEN p2 := 0; END IF;
    place := least(p1, 2000000000)::int + 1; size := least(p2, total)::int;
END $$;

CREATE OR REPLACE FUNCTION shadow.substr(x text, start bigint, count bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT substr(x, place, size) FROM shadow.slice(length(x), start, count) $$;
CREATE OR REPLACE FUNCTION shadow.substr(x text, start bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT substr(x, place, size) FROM shadow.slice(length(x), start, NULL) $$;
CREATE OR REPLACE FUNCTION shadow.substr(x bytea, start bigint, count bigint) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT substr(x, place, size) FROM shadow.slice(length(x), start, count) $$;
CREATE OR REPLACE FUNCTION shadow.substr(x bytea, start bigint) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT substr(x, place, size) FROM shadow.slice(length(x), start, NULL) $$;
CREATE OR REPLACE FUNCTION shadow.substr(x shadow.value, start bigint, count bigint) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 3 THEN shadow.v(shadow.substr((x).blob, start, count)) ELSE shadow.v(shadow.substr(shadow.text(x), start, count)) END $$;
CREATE OR REPLACE FUNCTION shadow.substr(x shadow.value, start bigint) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 3 THEN shadow.v(shadow.substr((x).blob, start)) ELSE shadow.v(shadow.substr(shadow.text(x), start)) END $$;

CREATE OR REPLACE FUNCTION shadow.instr(x shadow.value, y shadow.value) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN (x).cls = 3 AND (y).cls = 3 THEN position((y).blob IN (x).blob)
    ELSE strpos(shadow.text(x), shadow.text(y)) END::bigint $$;

CREATE OR REPLACE FUNCTION shadow.char(x bigint[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT COALESCE(string_agg(chr(c::int), '' ORDER BY n), '') FROM unnest(x) WITH ORDINALITY AS t(c, n) $$;

CREATE OR REPLACE FUNCTION shadow.quote(x shadow.value) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE (x).cls WHEN 1 THEN shadow.text(x) WHEN 2 THEN '''' || replace((x).txt, '''', '''''') || ''''
    WHEN 3 THEN 'X''' || upper(encode((x).blob, 'hex')) || '''' ELSE 'NULL' END $$;

CREATE OR REPLACE FUNCTION shadow.random() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT ('x' || left(replace(gen_random_uuid()::text, '-', ''), 8) || right(replace(gen_random_uuid()::text, '-', ''), 8))::bit(64)::bigint $$;
CREATE OR REPLACE FUNCTION shadow.randomblob(n bigint) RETURNS bytea LANGUAGE sql VOLATILE AS
$$ SELECT decode(left(string_agg(md5(gen_random_uuid()::text), ''), greatest(n, 1)::int * 2), 'hex') FROM generate_series(0, greatest(n, 1) / 16) $$;

-- %g and %e as C writes them, with SQLite's limit of significant digits.
CREATE OR REPLACE FUNCTION shadow.exponential(x double precision, digits int) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE t text := to_char(abs(x)::numeric, '9.' || repeat('9', digits) || 'EEEE');
BEGIN
    RETURN CASE WHEN x < 0 THEN '-' ELSE '' END || btrim(t);
END $$;

CREATE OR REPLACE FUNCTION shadow.printf(f text, a shadow.value[]) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    r text := ''; m text[]; at int := 1; k int := 1; flags text; width int; prec int; c text; v shadow.value; t text; s text; n numeric;
BEGIN
    WHILE at <= length(f) LOOP
        IF substr(f, at, 1) <> '%' THEN
            t := substring(substr(f, at) from '^[^%]+'); r := r || t; at := at + length(t); CONTINUE;
        END IF;
        m := regexp_match(substr(f, at), '^%([-+ 0#,!]*)([0-9]*|\*)(?:\.([0-9]*|\*))?(?:l|ll)?([a-zA-Z%])');
        IF m IS NULL THEN RETURN r; END IF;
        at := at + length(substring(substr(f, at) from '^%[-+ 0#,!]*(?:[0-9]*|\*)(?:\.(?:[0-9]*|\*))?(?:l|ll)?[a-zA-Z%]'));
        flags := m[1]; c := m[4];
        IF c = '%' THEN r := r || '%'; CONTINUE; END IF;
        IF m[2] = '*' THEN width := shadow.integer(a[k]); k := k + 1;
            IF width < 0 THEN width := -width; flags := flags || '-'; END IF;
        ELSE width := COALESCE(NULLIF(m[2], ''), '0')::int; END IF;
        IF m[3] = '*' THEN prec := shadow.integer(a[k]); k := k + 1; ELSE prec := CASE WHEN m[3] = '' THEN 0 ELSE m[3]::int END; END IF;
        v := a[k]; k := k + 1; s := '';
        IF c IN ('d', 'i', 'u') THEN
            n := COALESCE(shadow.integer(v), 0);
            IF c = 'u' AND n < 0 THEN n := n + 18446744073709551616; END IF;
            s := CASE WHEN n < 0 THEN '-' WHEN flags LIKE '%+%' THEN '+' WHEN flags LIKE '% %' THEN ' ' ELSE '' END;
            t := abs(n)::text;
            IF prec IS NOT NULL THEN t := lpad(t, greatest(prec, length(t)), '0'); END IF;
            IF flags LIKE '%,%' THEN t := btrim(to_char(abs(n), 'FM999,999,999,999,999,999,999')); END IF;
        ELSIF c IN ('f', 'e', 'E', 'g', 'G') THEN
            n := COALESCE((shadow.number(v)).num, 0);
            s := CASE WHEN n < 0 THEN '-' WHEN flags LIKE '%+%' THEN '+' WHEN flags LIKE '% %' THEN ' ' ELSE '' END;
            IF c = 'f' THEN
                t := round(abs(n::double precision::text::numeric), COALESCE(prec, 6))::text;
                IF flags LIKE '%!%' THEN t := regexp_replace(t, '(\.\d+?)0+$', '\1'); END IF;
                IF flags LIKE '%,%' THEN
                    t := regexp_replace(split_part(t, '.', 1), '(\d)(?=(\d{3})+$)', '\1,', 'g') || CASE WHEN strpos(t, '.') > 0 THEN '.' || split_part(t, '.', 2) ELSE '' END;
                END IF;
            ELSIF c IN ('e', 'E') THEN
                t := shadow.exponential(abs(n)::double precision, COALESCE(prec, 6));
                IF c = 'E' THEN t := upper(t); END IF;
            ELSE
                prec := greatest(COALESCE(prec, 6), 1);
                IF n = 0 THEN t := '0';
                ELSIF abs(n) >= 0.0001 AND round(abs(n), 0) < 10::numeric ^ prec THEN
                    t := round(abs(n), greatest(prec - 1 - floor(log(abs(n)))::int, 0))::text;
                    IF strpos(t, '.') > 0 THEN t := rtrim(rtrim(t, '0'), '.'); END IF;
                ELSE
                    t := shadow.exponential(abs(n)::double precision, prec - 1);
                    t := regexp_replace(t, '\.?0*e', 'e');
                END IF;
            END IF;
        ELSIF c IN ('x', 'X', 'o') THEN
            n := COALESCE(shadow.integer(v), 0);
            IF c = 'o' THEN
                IF n < 0 THEN n := n + 18446744073709551616; END IF;
                t := '';
                LOOP t := (n % 8)::int::text || t; n := trunc(n / 8); EXIT WHEN n = 0; END LOOP;
            ELSE t := to_hex(n::bigint); END IF;
            IF c = 'X' THEN t := upper(t); END IF;
            IF flags LIKE '%#%' AND c <> 'o' THEN s := '0' || c; END IF;
            IF prec IS NOT NULL THEN t := lpad(t, greatest(prec, length(t)), '0'); END IF;
        ELSIF c IN ('s', 'z') THEN
            t := COALESCE(shadow.text(v), '');
            IF prec IS NOT NULL THEN t := left(t, prec); END IF;
            flags := replace(flags, '0', '');
        ELSIF c = 'c' THEN
            t := left(COALESCE(shadow.text(v), ''), 1); flags := replace(flags, '0', '');
        ELSIF c IN ('q', 'Q', 'w') THEN
            t := shadow.text(v);
            IF c = 'w' THEN t := replace(COALESCE(t, '(NULL)'), '"', '""');
            ELSIF t IS NULL THEN t := CASE WHEN c = 'Q' THEN 'NULL' ELSE '(NULL)' END;
            ELSE t := replace(t, '''', ''''''); IF c = 'Q' THEN t := '''' || t || ''''; END IF; END IF;
            flags := replace(flags, '0', '');
        ELSE RETURN r;
        END IF;
        IF flags LIKE '%-%' THEN r := r || rpad(s || t, greatest(width, length(s || t)));
        ELSIF flags LIKE '%0%' THEN r := r || s || lpad(t, greatest(width - length(s), length(t)), '0');
        ELSE r := r || lpad(s || t, greatest(width, length(s || t))); END IF;
    END LOOP;
    RETURN r;
END $$;
