-- Fixture pairs: a remark (after | the classes of the parameters); SQLite's statement; what it becomes, step by step.

-- parameters are numbered by SQLite, whatever their order in the tree; % is doubled | int
SELECT id FROM items WHERE name LIKE '50%' AND qty > ?;
SELECT items.id FROM public.items WHERE lower(items."name" COLLATE "C") LIKE '50%%' ESCAPE '' AND items.qty > %s ORDER BY items.id;

-- named parameters keep their names | n=str
SELECT :n, id FROM items WHERE name = :n;
SELECT %s::text, items.id FROM public.items WHERE items."name" = %s ORDER BY items.id;

-- a boolean column is its own condition
SELECT id FROM items WHERE active = 1;
SELECT items.id FROM public.items WHERE items.active ORDER BY items.id;

-- ... and its opposite
SELECT id FROM items WHERE active = 0;
SELECT items.id FROM public.items WHERE NOT items.active ORDER BY items.id;

-- a boolean is a number where one is asked for
SELECT SUM(active), active + 1 FROM items;
SELECT sum(items.active::int::bigint)::bigint, (array_agg(items.active ORDER BY items.id))[1]::int::bigint + 1 FROM public.items;

-- the id SQLite would tell as lastrowid | str
INSERT INTO items (name) VALUES (?);
INSERT INTO public.items ("name") VALUES (%s) RETURNING items.id;

-- INSERT OR REPLACE deletes what conflicts, on every unique key | str int
INSERT OR REPLACE INTO items (name, qty) VALUES (?, ?);
DELETE FROM public.items WHERE items."name" = %s AND items.qty = %s;
INSERT INTO public.items ("name", qty) VALUES (%s, %s) RETURNING items.id;

-- INSERT OR IGNORE skips what CHECK refuses, too | str int
INSERT OR IGNORE INTO items (name, qty) VALUES (?, ?);
INSERT INTO public.items ("name", qty) SELECT (%s)::text, (%s)::bigint WHERE ((%s)::bigint >= 0) IS NOT FALSE ON CONFLICT DO NOTHING RETURNING items.id;

-- an unqualified column of DO UPDATE is the row that is there | str
INSERT INTO items (name) VALUES (?) ON CONFLICT (name, qty) DO UPDATE SET price = price + excluded.price;
INSERT INTO public.items AS items ("name") VALUES (%s) ON CONFLICT ("name", qty) DO UPDATE SET price = items.price + excluded.price RETURNING items.id;

-- now with a plain modifier is interval arithmetic
SELECT datetime('now', '-7 days'), CURRENT_TIMESTAMP;
SELECT to_char(shadow.now() - INTERVAL '7 days', 'YYYY-MM-DD HH24:MI:SS'), to_char(shadow.now(), 'YYYY-MM-DD HH24:MI:SS');

-- anything else about time is the function of that name | int
SELECT id FROM items WHERE created_at > datetime('now', ? || ' days');
SELECT items.id FROM public.items WHERE items.created_at > (SELECT shadow.datetime('now', (%s)::bigint::text || ' days')) ORDER BY items.id;

-- a text parameter against a column of numeric affinity: SQLite would make a number of '2024' | str
SELECT id FROM items WHERE created_at >= ?;
SELECT items.id FROM public.items WHERE CASE WHEN NOT shadow.is_number(%s::text) THEN items.created_at >= %s ELSE shadow.v(items.created_at) >= shadow.numeric(%s::text) END ORDER BY items.id;

-- hours as the app groups them
SELECT strftime('%Y-%m-%d %H:00', created_at) AS hour, COUNT(*) FROM items GROUP BY hour;
SELECT CASE WHEN shadow.is_plain(items.created_at) AND length(items.created_at) >= 16 THEN substr(items.created_at, 1, 4) || '-' || substr(items.created_at, 6, 2) || '-' || substr(items.created_at, 9, 2) || ' ' || substr(items.created_at, 12, 2) || ':00' ELSE shadow.strftime('%%Y-%%m-%%d %%H:00', items.created_at) END AS "hour", count(*) FROM public.items GROUP BY CASE WHEN shadow.is_plain(items.created_at) AND length(items.created_at) >= 16 THEN substr(items.created_at, 1, 4) || '-' || substr(items.created_at, 6, 2) || '-' || substr(items.created_at, 9, 2) || ' ' || substr(items.created_at, 12, 2) || ':00' ELSE shadow.strftime('%%Y-%%m-%%d %%H:00', items.created_at) END ORDER BY CASE WHEN shadow.is_plain(items.created_at) AND length(items.created_at) >= 16 THEN substr(items.created_at, 1, 4) || '-' || substr(items.created_at, 6, 2) || '-' || substr(items.created_at, 9, 2) || ' ' || substr(items.created_at, 12, 2) || ':00' ELSE shadow.strftime('%%Y-%%m-%%d %%H:00', items.created_at) END NULLS FIRST;

-- a bare column beside GROUP BY has the first row's value
SELECT name, COUNT(*) FROM items GROUP BY active;
SELECT (array_agg(items."name" ORDER BY items.id))[1], count(*) FROM public.items GROUP BY items.active ORDER BY items.active NULLS FIRST;

-- ... with one MAX that row's
SELECT name, MAX(qty) FROM items GROUP BY active;
SELECT (array_agg(items."name" ORDER BY items.qty DESC NULLS LAST, items.id))[1], max(items.qty) FROM public.items GROUP BY items.active ORDER BY items.active NULLS FIRST;

-- ids without ORDER BY come in rowid order; a view is written out
SELECT * FROM active_items;
SELECT active_items.id, active_items."name" FROM (SELECT items.id AS id, items."name" AS "name" FROM public.items WHERE items.active ORDER BY items.id) AS active_items;

-- a table without INTEGER PRIMARY KEY has a hidden row id, which * does not show
SELECT * FROM notes WHERE rowid = 3;
SELECT notes.body, notes.item_id FROM public.notes WHERE notes._shadow_rowid = 3 ORDER BY notes._shadow_rowid;

-- LIKE ignores ASCII case only
SELECT id FROM items WHERE nick NOT LIKE 'A%' ORDER BY nick;
SELECT items.id FROM public.items WHERE lower(items.nick COLLATE "C") NOT LIKE 'a%%' ESCAPE '' ORDER BY lower(items.nick COLLATE "C") NULLS FIRST, items.id;

-- integers divide as integers, by zero to NULL
SELECT qty / 2, qty / price, 7 / 2, qty % 0 FROM items;
SELECT items.qty / 2, items.qty / NULLIF(items.price, 0), 3::bigint, items.qty %% NULLIF(0::bigint, 0) FROM public.items ORDER BY items.id;

-- limit -1 is no limit | int int
SELECT id FROM items ORDER BY name LIMIT ? OFFSET ?;
SELECT items.id FROM public.items ORDER BY items."name", items.id LIMIT NULLIF(GREATEST((%s)::bigint, -1), -1) OFFSET GREATEST((%s)::bigint, 0);

-- a value of unknown type compares as shadow.value
SELECT anything FROM tables WHERE anything > 5 ORDER BY anything DESC;
SELECT tables.anything FROM public.tables WHERE tables.anything > shadow.v(5::bigint) ORDER BY tables.anything DESC NULLS LAST, tables._shadow_rowid;

-- reserved words and all four quotes
SELECT "order", [order], `order`, tables."data" FROM "tables" WHERE "order" = "no such column";
SELECT tables."order", tables."order", tables."order", tables.data FROM public.tables WHERE tables."order" = 'no such column' ORDER BY tables._shadow_rowid;

-- an empty list
DELETE FROM items WHERE id IN ();
DELETE FROM public.items WHERE FALSE;

-- orphans
DELETE FROM notes WHERE item_id NOT IN (SELECT DISTINCT id FROM items);
DELETE FROM public.notes WHERE notes.item_id NOT IN (SELECT DISTINCT items.id FROM public.items);

-- || makes text of everything
SELECT name || '-' || qty || price FROM items;
SELECT ((items."name" || '-') || items.qty::text) || shadow.text(items.price) FROM public.items ORDER BY items.id;

-- CAST truncates
SELECT CAST(price AS INTEGER), CAST(name AS INTEGER) FROM items;
SELECT shadow.integer(items.price), shadow.integer(items."name") FROM public.items ORDER BY items.id;

-- a recursive query
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1::bigint AS i UNION ALL SELECT n.i + 1 AS "i + 1" FROM n WHERE n.i < 5) SELECT n.i FROM n;

-- NOT as an assignment | int
UPDATE items SET active = NOT active WHERE id = ?;
UPDATE public.items SET active = NOT items.active WHERE items.id = %s;
