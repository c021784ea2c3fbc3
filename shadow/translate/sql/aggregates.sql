-- Aggregates over values whose class is not known.

CREATE OR REPLACE FUNCTION shadow.sum_step(s shadow.value, x shadow.value) RETURNS shadow.value LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE n shadow.value; r numeric;
BEGIN
    IF x IS NULL THEN RETURN s; END IF;
    -- Text counts as a real, unless it is an integer.
    n := CASE x.cls WHEN 1 THEN x ELSE shadow.numeric(x) END;
    IF n.cls <> 1 THEN n := shadow.v((shadow.number(x)).num::double precision); END IF;
    IF s IS NULL THEN RETURN n; END IF;
    IF shadow.is_int(s.num) AND shadow.is_int(n.num) THEN
        r := s.num + n.num;
        IF r NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
            RAISE EXCEPTION 'integer overflow' USING ERRCODE = 'numeric_value_out_of_range';
        END IF;
        RETURN ROW(1, r, NULL, NULL)::shadow.value;
    END IF;
    RETURN shadow.v(s.num::double precision + n.num::double precision);
END $$;
CREATE OR REPLACE AGGREGATE shadow.sum(shadow.value) (SFUNC = shadow.sum_step, STYPE = shadow.value);

CREATE OR REPLACE FUNCTION shadow.smaller(a shadow.value, b shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN b < a THEN b ELSE a END $$;
CREATE OR REPLACE FUNCTION shadow.larger(a shadow.value, b shadow.value) RETURNS shadow.value LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN b > a THEN b ELSE a END $$;
CREATE OR REPLACE AGGREGATE shadow.min(shadow.value) (SFUNC = shadow.smaller, STYPE = shadow.value);
CREATE OR REPLACE AGGREGATE shadow.max(shadow.value) (SFUNC = shadow.larger, STYPE = shadow.value);
CREATE OR REPLACE FUNCTION shadow.smaller(a bytea, b bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN b < a THEN b ELSE a END $$;
CREATE OR REPLACE FUNCTION shadow.larger(a bytea, b bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN b > a THEN b ELSE a END $$;
CREATE OR REPLACE AGGREGATE shadow.min(bytea) (SFUNC = shadow.smaller, STYPE = bytea);
CREATE OR REPLACE AGGREGATE shadow.max(bytea) (SFUNC = shadow.larger, STYPE = bytea);

-- group_concat(DISTINCT x): each text once, in the order of first appearance. s[1] is the separator.
CREATE OR REPLACE FUNCTION shadow.join_step(s text[], x text, separator text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN x IS NULL OR x = ANY (s[2:]) THEN s ELSE COALESCE(s, ARRAY[separator]) || x END $$;
CREATE OR REPLACE FUNCTION shadow.join_final(s text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN s IS NULL THEN NULL ELSE array_to_string(s[2:], s[1]) END $$;
CREATE OR REPLACE AGGREGATE shadow.join_distinct(text, text) (SFUNC = shadow.join_step, STYPE = text[], FINALFUNC = shadow.join_final);
