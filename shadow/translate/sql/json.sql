-- SQLite's JSON functions on PostgreSQL's json type, which keeps the order and the text of what it is given.

CREATE OR REPLACE FUNCTION shadow.json_compact(j json) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    CASE json_typeof(j)
        WHEN 'object' THEN RETURN '{' || COALESCE((SELECT string_agg(to_json(key)::text || ':' || shadow.json_compact(value), ',' ORDER BY n)
            FROM json_each(j) WITH ORDINALITY AS e(key, value, n)), '') || '}';
        WHEN 'array' THEN RETURN '[' || COALESCE((SELECT string_agg(shadow.json_compact(value), ',' ORDER BY n)
            FROM json_array_elements(j) WITH ORDINALITY AS e(value, n)), '') || ']';
        ELSE RETURN btrim(j::text, E' \n\r\t');
    END CASE;
END $$;

-- Text to json; what is none is SQLite's error, not one of types.
CREATE OR REPLACE FUNCTION shadow.as_json(x text) RETURNS json LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN x::json;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character OR invalid_parameter_value THEN
    RAISE EXCEPTION 'malformed JSON' USING ERRCODE = 'raise_exception';
END $$;

CREATE OR REPLACE FUNCTION shadow.json(x text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_compact(shadow.as_json(x)) $$;

CREATE OR REPLACE FUNCTION shadow.json_valid(x text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    PERFORM x::json;
    RETURN true;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character OR invalid_parameter_value THEN
    RETURN false;
END $$;

-- The first step of a path and the rest of it: '.key', '."key"', '[3]', '[#-1]'.
CREATE OR REPLACE FUNCTION shadow.json_step(path text, OUT kind text, OUT name text, OUT rest text) LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE p text[];
BEGIN
    IF path = '' THEN kind := ''; RETURN; END IF;
    p := regexp_match(path, '^\."((?:[^"\\]|\\.)*)"(.*)$');
    IF p IS NOT NULL THEN kind := '.'; name := p[1]; rest := p[2]; RETURN; END IF;
    p := regexp_match(path, '^\.([^.\[]+)(.*)$');
    IF p IS NOT NULL THEN kind := '.'; name := p[1]; rest := p[2]; RETURN; END IF;
    p := regexp_match(path, '^\[([0-9]+|#|#-[0-9]+)\](.*)$');
    IF p IS NOT NULL THEN kind := '['; name := p[1]; rest := p[2]; RETURN; END IF;
    RAISE EXCEPTION 'JSON path error near ''%''', path USING ERRCODE = 'invalid_parameter_value';
END $$;

CREATE OR REPLACE FUNCTION shadow.json_index(name text, size int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN name = '#' THEN size WHEN name LIKE '#-%' THEN size - substr(name, 3)::int ELSE name::int END $$;

CREATE OR REPLACE FUNCTION shadow.json_path(path text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF path NOT LIKE '$%' THEN RAISE EXCEPTION 'JSON path error near ''%''', path USING ERRCODE = 'invalid_parameter_value'; END IF;
    RETURN substr(path, 2);
END $$;

CREATE OR REPLACE FUNCTION shadow.json_at(j json, path text) RETURNS json LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE s record; i int;
BEGIN
    LOOP
        SELECT * INTO s FROM shadow.json_step(path);
        IF s.kind = '' OR j IS NULL THEN RETURN j; END IF;
        IF s.kind = '.' THEN
            IF json_typeof(j) <> 'object' THEN RETURN NULL; END IF;
            SELECT value INTO j FROM json_each(j) WITH ORDINALITY AS e(key, value, n) WHERE key = s.name ORDER BY n LIMIT 1;
        ELSE
            IF json_typeof(j) <> 'array' THEN RETURN NULL; END IF;
            i := shadow.json_index(s.name, json_array_length(j));
            j := CASE WHEN i >= 0 THEN j -> i END;
        END IF;
        path := s.rest;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION shadow.json_value(j json) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE json_typeof(j) WHEN 'string' THEN shadow.v(j #>> '{}') WHEN 'number' THEN shadow.parse(j #>> '{}')
    WHEN 'boolean' THEN shadow.v((j #>> '{}')::boolean) WHEN 'null' THEN NULL ELSE shadow.v(shadow.json_compact(j)) END $$;

CREATE OR REPLACE FUNCTION shadow.json_extract(x text, path text) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_value(shadow.json_at(shadow.as_json(x), shadow.json_path(path))) $$;
CREATE OR REPLACE FUNCTION shadow.json_extract_all(x text, paths text[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT '[' || string_agg(COALESCE(shadow.json_compact(shadow.json_at(shadow.as_json(x), shadow.json_path(p))), 'null'), ',' ORDER BY n) || ']'
    FROM unnest(paths) WITH ORDINALITY AS t(p, n) $$;
CREATE OR REPLACE FUNCTION shadow.json_subtext(x text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_compact(shadow.json_at(shadow.as_json(x), shadow.json_path(path))) $$;
CREATE OR REPLACE FUNCTION shadow.json_key(x text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN x LIKE '$%' THEN x WHEN x LIKE '[%' THEN '$' || x ELSE '$."' || x || '"' END $$;
CREATE OR REPLACE FUNCTION shadow.json_key(x bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN x < 0 THEN '$[#' || x || ']' ELSE '$[' || x || ']' END $$;

CREATE OR REPLACE FUNCTION shadow.json_kind(j json) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE json_typeof(j) WHEN 'string' THEN 'text' WHEN 'boolean' THEN j #>> '{}'
    WHEN 'number' THEN CASE WHEN j #>> '{}' ~ '[.eE]' THEN 'real' ELSE 'integer' END ELSE json_typeof(j) END $$;
CREATE OR REPLACE FUNCTION shadow.json_type(x text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_kind(shadow.as_json(x)) $$;
CREATE OR REPLACE FUNCTION shadow.json_type(x text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_kind(shadow.json_at(shadow.as_json(x), shadow.json_path(path))) $$;

CREATE OR REPLACE FUNCTION shadow.json_count(j json) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN json_typeof(j) = 'array' THEN json_array_length(j) ELSE 0 END::bigint $$;
CREATE OR REPLACE FUNCTION shadow.json_array_length(x text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_count(shadow.as_json(x)) $$;
CREATE OR REPLACE FUNCTION shadow.json_array_length(x text, path text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_count(shadow.json_at(shadow.as_json(x), shadow.json_path(path))) $$;

CREATE OR REPLACE FUNCTION shadow.json_quote(x shadow.value) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE (x).cls WHEN 1 THEN shadow.text(x) WHEN 2 THEN to_json((x).txt)::text ELSE 'null' END $$;

-- json_set, json_insert, json_replace for one path.
CREATE OR REPLACE FUNCTION shadow.json_put(j json, path text, new text, mode text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE s record; found boolean := false; parts text[] := '{}'; e record; i int; here boolean;
BEGIN
    SELECT * INTO s FROM shadow.json_step(path);
    IF s.kind = '' THEN
        RETURN CASE WHEN mode = 'insert' THEN shadow.json_compact(j) ELSE new END;
    END IF;
    IF s.kind = '.' AND json_typeof(j) = 'object' THEN
        FOR e IN SELECT key, value FROM json_each(j) LOOP
            here := e.key = s.name AND NOT found;
            found := found OR here;
            parts := parts || (to_json(e.key)::text || ':' || CASE WHEN here THEN shadow.json_put(e.value, s.rest, new, mode) ELSE shadow.json_compact(e.value) END);
        END LOOP;
        IF NOT found AND mode <> 'replace' AND s.rest = '' THEN parts := parts || (to_json(s.name)::text || ':' || new); END IF;
        RETURN '{' || array_to_string(parts, ',') || '}';
    ELSIF s.kind = '[' AND json_typeof(j) = 'array' THEN
        i := shadow.json_index(s.name, json_array_length(j));
        FOR e IN SELECT value, n - 1 AS at FROM json_array_elements(j) WITH ORDINALITY AS t(value, n) LOOP
            parts := parts || CASE WHEN e.at = i THEN shadow.json_put(e.value, s.rest, new, mode) ELSE shadow.json_compact(e.value) END;
        END LOOP;
        IF i = json_array_length(j) AND mode <> 'replace' AND s.rest = '' THEN parts := parts || new; END IF;
        RETURN '[' || array_to_string(parts, ',') || ']';
    END IF;
    RETURN shadow.json_compact(j);
END $$;
CREATE OR REPLACE FUNCTION shadow.json_edit(x text, path text, new text, mode text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN x IS NULL OR path IS NULL THEN NULL ELSE shadow.json_put(shadow.as_json(x), shadow.json_path(path), COALESCE(new, 'null'), mode) END $$;

CREATE OR REPLACE FUNCTION shadow.json_drop(j json, path text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE s record; parts text[] := '{}'; e record; i int; found boolean := false;
BEGIN
    SELECT * INTO s FROM shadow.json_step(path);
    IF s.kind = '' THEN RETURN NULL; END IF;
    IF s.kind = '.' AND json_typeof(j) = 'object' THEN
        FOR e IN SELECT key, value FROM json_each(j) LOOP
            IF e.key = s.name AND NOT found THEN
                found := true;
                IF s.rest <> '' THEN parts := parts || (to_json(e.key)::text || ':' || shadow.json_drop(e.value, s.rest)); END IF;
            ELSE parts := parts || (to_json(e.key)::text || ':' || shadow.json_compact(e.value)); END IF;
        END LOOP;
        RETURN '{' || array_to_string(parts, ',') || '}';
    ELSIF s.kind = '[' AND json_typeof(j) = 'array' THEN
        i := shadow.json_index(s.name, json_array_length(j));
        FOR e IN SELECT value, n - 1 AS at FROM json_array_elements(j) WITH ORDINALITY AS t(value, n) LOOP
            IF e.at = i THEN
                IF s.rest <> '' THEN parts := parts || shadow.json_drop(e.value, s.rest); END IF;
            ELSE parts := parts || shadow.json_compact(e.value); END IF;
        END LOOP;
        RETURN '[' || array_to_string(parts, ',') || ']';
    END IF;
    RETURN shadow.json_compact(j);
END $$;
CREATE OR REPLACE FUNCTION shadow.json_remove(x text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_drop(shadow.as_json(x), shadow.json_path(path)) $$;

-- RFC 7396.
CREATE OR REPLACE FUNCTION shadow.json_merge(a json, b json) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE parts text[] := '{}'; e record; p json;
BEGIN
    IF json_typeof(b) <> 'object' THEN RETURN shadow.json_compact(b); END IF;
    IF a IS NULL OR json_typeof(a) <> 'object' THEN a := '{}'; END IF;
    FOR e IN SELECT key, value FROM json_each(a) LOOP
        p := b -> e.key;
        IF p IS NULL THEN parts := parts || (to_json(e.key)::text || ':' || shadow.json_compact(e.value));
        ELSIF json_typeof(p) <> 'null' THEN parts := parts || (to_json(e.key)::text || ':' || shadow.json_merge(e.value, p)); END IF;
    END LOOP;
    FOR e IN SELECT key, value FROM json_each(b) LOOP
        IF a -> e.key IS NULL AND json_typeof(e.value) <> 'null' THEN
            parts := parts || (to_json(e.key)::text || ':' || shadow.json_merge(NULL, e.value));
        END IF;
    END LOOP;
    RETURN '{' || array_to_string(parts, ',') || '}';
END $$;
CREATE OR REPLACE FUNCTION shadow.json_patch(x text, y text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT shadow.json_merge(shadow.as_json(x), shadow.as_json(y)) $$;

CREATE OR REPLACE FUNCTION shadow.json_walk(j json, at text, holder text, k shadow.value, deep boolean, level int)
RETURNS TABLE (key shadow.value, value shadow.value, type text, atom shadow.value, parent bigint, fullkey text, path text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE e record; whole boolean := json_typeof(j) IN ('object', 'array'); step text;
BEGIN
    IF j IS NULL THEN RETURN; END IF;
    IF deep OR level = 1 OR NOT whole THEN
        key := k; value := shadow.json_value(j); type := shadow.json_kind(j);
        atom := CASE WHEN whole THEN NULL ELSE value END; fullkey := at; path := holder; parent := NULL;
        RETURN NEXT;
    END IF;
    IF NOT deep AND level = 1 THEN RETURN; END IF;
    IF json_typeof(j) = 'object' THEN
        FOR e IN SELECT t.key AS name, t.value AS child FROM json_each(j) AS t LOOP
            step := CASE WHEN e.name ~ '^[A-Za-z_][A-Za-z0-9_]*$' THEN '.' || e.name ELSE '."' || e.name || '"' END;
            RETURN QUERY SELECT * FROM shadow.json_walk(e.child, at || step, at, shadow.v(e.name), deep, level + 1);
        END LOOP;
    ELSIF json_typeof(j) = 'array' THEN
        FOR e IN SELECT t.child, t.n - 1 AS n FROM json_array_elements(j) WITH ORDINALITY AS t(child, n) LOOP
            RETURN QUERY SELECT * FROM shadow.json_walk(e.child, at || '[' || e.n || ']', at, shadow.v(e.n), deep, level + 1);
        END LOOP;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION shadow.json_each(x text, root text DEFAULT '$')
RETURNS TABLE (key shadow.value, value shadow.value, type text, atom shadow.value, id bigint, parent bigint, fullkey text, path text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE r record; n bigint := 0;
BEGIN
    FOR r IN SELECT * FROM shadow.json_walk(shadow.json_at(shadow.as_json(x), shadow.json_path(root)), root, root, NULL, false, 0) LOOP
        n := n + 1; key := r.key; value := r.value; type := r.type; atom := r.atom; id := n; parent := NULL;
        fullkey := r.fullkey; path := r.path;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION shadow.json_tree(x text, root text DEFAULT '$')
RETURNS TABLE (key shadow.value, value shadow.value, type text, atom shadow.value, id bigint, parent bigint, fullkey text, path text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE r record; n bigint := -1;
BEGIN
    FOR r IN SELECT * FROM shadow.json_walk(shadow.json_at(shadow.as_json(x), shadow.json_path(root)), root, root, NULL, true, 0) LOOP
        n := n + 1; key := r.key; value := r.value; type := r.type; atom := r.atom; id := n; parent := NULL;
        fullkey := r.fullkey; path := r.path;
        RETURN NEXT;
    END LOOP;
END $$;
