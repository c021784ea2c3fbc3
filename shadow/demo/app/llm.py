"""Language model providers, their models, prompts and secrets."""

from __future__ import annotations

from . import database
from .database import Json, get_connection, get_db


def list_providers() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT p.id, p.name, p.display_name, p.is_enabled, COUNT(m.id) AS models FROM llm_providers p"
            " LEFT JOIN llm_models m ON m.provider_id = p.id AND m.is_enabled = 1"
            " GROUP BY p.id ORDER BY p.name"
        ).fetchall()
    return [dict(row) for row in rows]


def find_provider(name: str) -> Json | None:
    """The column is NOCASE: 'OpenAI' finds 'openai'."""
    with get_db() as conn:
        row = conn.execute("SELECT id, name, display_name FROM llm_providers WHERE name = ?", (name,)).fetchone()
    return dict(row) if row else None


def add_provider(name: str, display_name: str) -> Json:
    conn = get_connection()
    try:
        cursor = conn.execute("INSERT INTO llm_providers (name, display_name) VALUES (?, ?)", (name, display_name))
        conn.commit()
        return {"id": cursor.lastrowid}
    except database.sqlite3.IntegrityError as error:
        return {"error": str(error)}
    finally:
        conn.close()


def toggle_provider(provider_id: int) -> int:
    with get_db() as conn:
        return conn.execute(
            "UPDATE llm_providers SET is_enabled = NOT is_enabled WHERE id = ?", (provider_id,)
        ).rowcount


def list_models(enabled: bool) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT m.id, m.model_name, m.display_name, m.input_price, m.output_price, m.is_default, p.name AS provider"
            " FROM llm_models m INNER JOIN llm_providers p ON p.id = m.provider_id"
            " WHERE m.is_enabled = ? ORDER BY p.name, m.model_name",
            (enabled,),
        ).fetchall()
    return [dict(row) for row in rows]


def save_model(provider_id: int, model_name: str, display_name: str, price: float) -> None:
    with get_db() as conn:
        conn.execute(
            "INSERT INTO llm_models (provider_id, model_name, display_name, input_price, output_price)"
            " VALUES (:provider, :model, :display, :price, :price * 3)"
            " ON CONFLICT(provider_id, model_name) DO UPDATE SET display_name = excluded.display_name,"
            " input_price = excluded.input_price, output_price = excluded.output_price",
            {"provider": provider_id, "model": model_name, "display": display_name, "price": price},
        )


def set_default_model(model_id: int) -> Json | None:
    with get_db() as conn:
        conn.execute("UPDATE llm_models SET is_default = (id = ?)", (model_id,))
        row = conn.execute("SELECT id, display_name FROM llm_models WHERE is_default = 1").fetchone()
        return dict(row) if row else None


def store_secret(provider_id: int, name: str, ciphertext: bytes, nonce: bytes) -> None:
    with get_db() as conn:
        conn.execute(
            "INSERT OR REPLACE INTO llm_secrets (provider_id, name, ciphertext, nonce) VALUES (?, ?, ?, ?)",
            (provider_id, name, ciphertext, nonce),
        )


def load_secret(provider_id: int, name: str) -> tuple[bytes, bytes] | None:
    conn = get_connection()
    row = conn.execute(
        "SELECT ciphertext, nonce FROM llm_secrets WHERE provider_id = ? AND name = ?", (provider_id, name)
    ).fetchone()
    conn.close()
    return (row["ciphertext"], row["nonce"]) if row else None


def secret_inventory() -> list[Json]:
    """Names and lengths only; a BLOB does not go to the API. In the order the rows were written."""
    with get_db() as conn:
        rows = conn.execute(
            "SELECT provider_id, name, LENGTH(ciphertext) AS bytes, HEX(SUBSTR(nonce, 1, 2)) AS hint FROM llm_secrets"
        ).fetchall()
    return [dict(row) for row in rows]


def delete_secret(provider_id: int, name: str) -> int:
    with get_db() as conn:
        return conn.execute("DELETE FROM llm_secrets WHERE provider_id = ? AND name = ?", (provider_id, name)).rowcount


def new_prompt_version(name: str, template: str) -> int | None:
    """The next version becomes the active one."""
    with get_db() as conn:
        conn.execute("UPDATE llm_prompts SET is_active = 0 WHERE name = ?", (name,))
        cursor = conn.execute(
            "INSERT INTO llm_prompts (name, version, template)"
            " VALUES (?, (SELECT COALESCE(MAX(version), 0) + 1 FROM llm_prompts WHERE name = ?), ?)",
            (name, name, template),
        )
        return cursor.lastrowid


def active_prompt(name: str) -> Json | None:
    with get_db() as conn:
        row = conn.execute(
            "SELECT id, version, template, notes FROM llm_prompts WHERE name = ? AND is_active = 1"
            " ORDER BY version DESC LIMIT 1",
            (name,),
        ).fetchone()
    return dict(row) if row else None


def prompt_names() -> list[str]:
    with get_db() as conn:
        return [row["name"] for row in conn.execute("SELECT DISTINCT name FROM llm_prompts ORDER BY name")]


def trim_prompts(name: str, keep: int) -> int:
    with get_db() as conn:
        return conn.execute(
            "DELETE FROM llm_prompts WHERE name = ? AND is_active = 0"
            " AND version <= (SELECT MAX(version) FROM llm_prompts WHERE name = ?) - ?",
            (name, name, keep),
        ).rowcount
