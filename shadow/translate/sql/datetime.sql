-- Dates and times: SQLite's date.c on text, in milliseconds of the Julian day.

-- What "now" is: the moment SQLite took, where the setting shadow.now has it; else the statement's clock. UTC.
CREATE OR REPLACE FUNCTION shadow.now() RETURNS timestamp LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT COALESCE(NULLIF(current_setting('shadow.now', true), '')::timestamp,
    date_trunc('milliseconds', statement_timestamp() AT TIME ZONE 'UTC')) $$;

-- A day to milliseconds of the Julian day, as computeJD() does.
CREATE OR REPLACE FUNCTION shadow.julian(y int, m int, d int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE a int; b int;
BEGIN
    IF m <= 2 THEN y := y - 1; m := m + 12; END IF;
    a := y / 100; b := 2 - a + a / 4;
    RETURN ((36525 * (y + 4716) / 100 + 306001 * (m + 1) / 10000 + d + b)::numeric - 1524.5) * 86400000;
END $$;

CREATE OR REPLACE FUNCTION shadow.civil(jd bigint, OUT y int, OUT m int, OUT d int) LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE z int := (jd + 43200000) / 86400000; a int; b int; c int; e int; x int;
BEGIN
    a := trunc((z - 1867216.25) / 36524.25); a := z + 1 + a - a / 4;
    b := a + 1524; c := trunc((b - 122.1) / 365.25); x := (36525 * c) / 100;
    e := trunc((b - x) / 30.6001);
    d := b - x - trunc(30.6001 * e)::int;
    m := CASE WHEN e < 14 THEN e - 1 ELSE e - 13 END;
    y := CASE WHEN m > 2 THEN c - 4716 ELSE c - 4715 END;
END $$;

-- The text of HH:MM[:SS[.fff]][zone] in milliseconds, NULL if it is none.
CREATE OR REPLACE FUNCTION shadow.clock(x text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE p text[] := regexp_match(x, '^([0-9]{2}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?[ \t]*(?:([zZ])|([+-])([0-9]{2}):([0-9]{2}))?[ \t]*$'); ms bigint;
BEGIN
    IF p IS NULL OR p[1]::int > 24 OR p[2]::int > 59 OR COALESCE(p[3], '0')::numeric >= 60 THEN RETURN NULL; END IF;
    ms := p[1]::bigint * 3600000 + p[2]::bigint * 60000 + trunc(COALESCE(p[3], '0')::numeric * 1000 + 0.5);
    IF p[5] IS NOT NULL THEN
        IF p[6]::int > 14 OR p[7]::int > 59 THEN RETURN NULL; END IF;
        ms := ms - CASE p[5] WHEN '-' THEN -1 ELSE 1 END * (p[6]::bigint * 3600000 + p[7]::bigint * 60000);
    END IF;
    RETURN ms;
END $$;

-- A time value and its modifiers to milliseconds of the Julian day; NULL where SQLite gives NULL.
CREATE OR REPLACE FUNCTION shadow.moment(args text[]) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE x text := args[1]; p text[]; jd numeric; raw numeric; ms bigint; md text; r numeric; y int; m int; d int; unit text; n int; k int;
BEGIN
    IF array_position(args, NULL) IS NOT NULL THEN RETURN NULL; END IF;
    p := regexp_match(x, '^(-?[0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ \t\n\v\f\rT]+(.*))?$');
    IF p IS NOT NULL THEN
        IF p[2]::int NOT BETWEEN 1 AND 12 OR p[3]::int NOT BETWEEN 1 AND 31 THEN RETURN NULL; END IF;
        ms := 0;
        IF p[4] <> '' THEN ms := shadow.clock(p[4]); END IF;
        IF ms IS NULL THEN RETURN NULL; END IF;
        jd := shadow.julian(p[1]::int, p[2]::int, p[3]::int) + ms;
    ELSIF lower(x) = 'now' THEN
        jd := trunc(extract(epoch FROM shadow.now())::numeric * 1000) + 210866760000000;
    ELSIF shadow.is_number(x) THEN
        raw := (shadow.numeric(x)).num;
        IF raw >= 0 AND raw < 5373484.5 THEN jd := trunc(raw * 86400000 + 0.5); END IF;
    ELSE
        ms := shadow.clock(x);
        IF ms IS NULL THEN RETURN NULL; END IF;
        jd := shadow.julian(2000, 1, 1) + ms;
    END IF;
    FOR i IN 2 .. COALESCE(array_length(args, 1), 1) LOOP
        md := lower(args[i]);
        IF md IN ('unixepoch', 'auto', 'julianday') THEN
            IF i <> 2 OR raw IS NULL THEN
                IF md = 'auto' AND i = 2 THEN CONTINUE; END IF;
                RETURN NULL;
            END IF;
            IF md = 'unixepoch' OR (md = 'auto' AND jd IS NULL) THEN
                IF raw NOT BETWEEN -210866760000 AND 253402300799 THEN RETURN NULL; END IF;
                jd := trunc(raw * 1000 + CASE WHEN raw < 0 THEN -0.5 ELSE 0.5 END) + 210866760000000;
            END IF;
            CONTINUE;
        END IF;
        IF jd IS NULL THEN RETURN NULL; END IF;
        IF md IN ('utc', 'localtime') THEN CONTINUE; END IF;
        IF md LIKE 'start of %' THEN
            SELECT * INTO y, m, d FROM shadow.civil(jd::bigint);
            CASE md WHEN 'start of day' THEN jd := shadow.julian(y, m, d);
                WHEN 'start of month' THEN jd := shadow.julian(y, m, 1);
                WHEN 'start of year' THEN jd := shadow.julian(y, 1, 1);
                ELSE RETURN NULL; END CASE;
            CONTINUE;
        END IF;
        p := regexp_match(md, '^weekday +([0-6])(?:\.0*)?$');
        IF p IS NOT NULL THEN
            n := ((jd + 129600000)::bigint / 86400000) % 7;
            jd := jd + ((p[1]::int - n + 7) % 7) * 86400000::bigint;
            CONTINUE;
        END IF;
        p := regexp_match(md, '^([+-]?)([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)$');
        IF p IS NOT NULL THEN
            ms := shadow.clock(p[2]);
            IF ms IS NULL THEN RETURN NULL; END IF;
            jd := jd + CASE p[1] WHEN '-' THEN -ms ELSE ms END;
            CONTINUE;
        END IF;
        p := regexp_match(md, '^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)[ \t]*(day|hour|minute|second|month|year)s?$');
        IF p IS NULL THEN RETURN NULL; END IF;
        r := p[1]::numeric; unit := p[2];
        IF abs(r) > 464269060800 THEN RETURN NULL; END IF;
        IF unit IN ('month', 'year') THEN
            SELECT * INTO y, m, d FROM shadow.civil(jd::bigint);
            ms := (jd::bigint + 43200000) % 86400000;
            IF abs(r) > 200000 THEN RETURN NULL; END IF;
            n := trunc(r)::int;
            IF unit = 'month' THEN
                m := m + n;
                k := CASE WHEN m > 0 THEN (m - 1) / 12 ELSE (m - 12) / 12 END;
                y := y + k; m := m - k * 12;
            ELSE y := y + n; END IF;
            IF y NOT BETWEEN -4713 AND 9999 THEN RETURN NULL; END IF;
            jd := shadow.julian(y, m, d) + ms;
            r := (r - n) * CASE unit WHEN 'month' THEN 30 ELSE 365 END;
            unit := 'day';
        END IF;
        r := r * CASE unit WHEN 'day' THEN 86400000 WHEN 'hour' THEN 3600000 WHEN 'minute' THEN 60000 ELSE 1000 END;
        jd := jd + trunc(r + CASE WHEN r < 0 THEN -0.5 ELSE 0.5 END);
    END LOOP;
    IF jd IS NULL OR jd < 0 OR jd > 464269060799999 THEN RETURN NULL; END IF;
    RETURN jd::bigint;
END $$;

CREATE OR REPLACE FUNCTION shadow.day_text(jd bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN y < 0 THEN '-' ELSE '' END || lpad(abs(y)::text, 4, '0') || '-' || lpad(m::text, 2, '0') || '-' || lpad(d::text, 2, '0') FROM shadow.civil(jd) $$;
CREATE OR REPLACE FUNCTION shadow.time_text(jd bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT to_char(((jd + 43200000) % 86400000) / 1000 * interval '1 second', 'HH24:MI:SS') $$;

-- Dates as most apps write them need no computation: the first ten characters are the answer.
CREATE OR REPLACE FUNCTION shadow.is_plain(x text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT x ~ '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?:[ T](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?)?$' $$;

CREATE OR REPLACE FUNCTION shadow.date(VARIADIC args text[]) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN array_length(args, 1) = 1 AND shadow.is_plain(args[1]) THEN left(args[1], 10)
    ELSE shadow.day_text(shadow.moment(args)) END $$;
CREATE OR REPLACE FUNCTION shadow."time"(VARIADIC args text[]) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT shadow.time_text(shadow.moment(args)) $$;
CREATE OR REPLACE FUNCTION shadow.datetime(VARIADIC args text[]) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN array_length(args, 1) = 1 AND shadow.is_plain(args[1]) AND length(args[1]) = 19
    THEN left(args[1], 10) || ' ' || right(args[1], 8)
    ELSE (SELECT shadow.day_text(jd) || ' ' || shadow.time_text(jd) FROM (SELECT shadow.moment(args) AS jd) AS q) END $$;
CREATE OR REPLACE FUNCTION shadow.julianday(VARIADIC args text[]) RETURNS double precision LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT shadow.moment(args)::double precision / 86400000.0::double precision $$;
CREATE OR REPLACE FUNCTION shadow.unixepoch(VARIADIC args text[]) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT shadow.moment(args) / 1000 - 210866760000 $$;

CREATE OR REPLACE FUNCTION shadow.strftime(f text, VARIADIC args text[]) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE jd bigint; y int; m int; d int; ms bigint; r text := ''; i int := 1; c text; yday int; wday int;
BEGIN
    IF f IS NULL THEN RETURN NULL; END IF;
    jd := shadow.moment(args);
    IF jd IS NULL THEN RETURN NULL; END IF;
    SELECT * INTO y, m, d FROM shadow.civil(jd);
    ms := (jd + 43200000) % 86400000;
    WHILE i <= length(f) LOOP
        c := substr(f, i, 1); i := i + 1;
        IF c <> '%' THEN r := r || c; CONTINUE; END IF;
        c := substr(f, i, 1); i := i + 1;
        CASE c
            WHEN 'd' THEN r := r || lpad(d::text, 2, '0');
            WHEN 'f' THEN r := r || lpad(round(ms % 60000 / 1000.0, 3)::text, 6, '0');
            WHEN 'H' THEN r := r || lpad((ms / 3600000)::text, 2, '0');
            WHEN 'j', 'W', 'w' THEN
                yday := (jd + 43200000) / 86400000 - (shadow.julian(y, 1, 1) + 43200000) / 86400000;
                wday := ((jd + 129600000) / 86400000) % 7;
                IF c = 'j' THEN r := r || lpad((yday + 1)::text, 3, '0');
                ELSIF c = 'w' THEN r := r || wday;
                ELSE r := r || lpad(((yday + 7 - (wday + 6) % 7) / 7)::text, 2, '0'); END IF;
            WHEN 'J' THEN r := r || rtrim(rtrim(round(jd / 86400000.0, 9)::text, '0'), '.');
            WHEN 'm' THEN r := r || lpad(m::text, 2, '0');
            WHEN 'M' THEN r := r || lpad((ms / 60000 % 60)::text, 2, '0');
            WHEN 's' THEN r := r || (jd / 1000 - 210866760000);
            WHEN 'S' THEN r := r || lpad((ms / 1000 % 60)::text, 2, '0');
            WHEN 'Y' THEN r := r || CASE WHEN y < 0 THEN '-' ELSE '' END || lpad(abs(y)::text, 4, '0');
            WHEN '%' THEN r := r || '%';
            ELSE RETURN NULL;
        END CASE;
    END LOOP;
    RETURN r;
END $$;
