-- The reference backend's catalogue: a question-answering app over a company's databases. Foreign keys are declared
-- and, as SQLite does unless asked, not enforced; one of them names a table that was dropped long ago.

CREATE TABLE IF NOT EXISTS _migrations (
    id TEXT PRIMARY KEY,
    description TEXT,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS datasources (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL DEFAULT 'postgres',
    connection_string TEXT,
    description TEXT,
    is_active BOOLEAN DEFAULT 1,
    last_sync_at TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    datasource_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    row_count INTEGER,
    is_enabled BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (datasource_id) REFERENCES datasources(id) ON DELETE CASCADE,
    UNIQUE(datasource_id, name)
);

CREATE TABLE IF NOT EXISTS columns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id INTEGER NOT NULL REFERENCES tables(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    data_type TEXT,
    description TEXT,
    is_primary_key BOOLEAN DEFAULT 0,
    is_nullable BOOLEAN DEFAULT 1,
    sample_values TEXT,
    distinct_ratio REAL,
    UNIQUE(table_id, name)
);

CREATE TABLE IF NOT EXISTS synonyms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    column_id INTEGER NOT NULL REFERENCES columns(id) ON DELETE CASCADE,
    synonym TEXT NOT NULL,
    source TEXT DEFAULT 'user',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(column_id, synonym)
);

CREATE TABLE IF NOT EXISTS conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    datasource_id INTEGER REFERENCES datasources(id) ON DELETE SET NULL,
    title TEXT,
    message_count INTEGER DEFAULT 0,
    is_archived BOOLEAN DEFAULT 0,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK(role IN ('user', 'assistant', 'system')),
    content TEXT NOT NULL,
    sql_query TEXT,
    metadata TEXT,
    latency_ms REAL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_messages_conversation ON messages(conversation_id, created_at);

CREATE TABLE IF NOT EXISTS saved_reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    datasource_id INTEGER REFERENCES datasources(id),
    title TEXT NOT NULL,
    question TEXT,
    sql_query TEXT NOT NULL,
    chart_config TEXT DEFAULT '{}',
    is_pinned BOOLEAN DEFAULT FALSE,
    run_count INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP
);

-- No AUTOINCREMENT: the highest id may come back after a DELETE. The dashboards table is long gone.
CREATE TABLE IF NOT EXISTS kpis (
    id INTEGER PRIMARY KEY,
    dashboard_id INTEGER REFERENCES dashboards(id),
    report_id INTEGER REFERENCES saved_reports(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    target REAL,
    current_value REAL,
    unit TEXT DEFAULT '%',
    status TEXT NOT NULL DEFAULT 'ok' CHECK(status IN ('ok', 'warning', 'critical')),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS widgets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    report_id INTEGER REFERENCES saved_reports(id) ON DELETE CASCADE,
    kind TEXT NOT NULL DEFAULT 'table' CHECK(kind IN ('table', 'bar', 'line', 'pie', 'number')),
    title TEXT,
    position INTEGER NOT NULL DEFAULT 0,
    width INTEGER DEFAULT 6,
    config TEXT,
    is_visible BOOLEAN DEFAULT 1,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS widget_cache (
    widget_id INTEGER PRIMARY KEY REFERENCES widgets(id) ON DELETE CASCADE,
    data TEXT NOT NULL,
    row_count INTEGER DEFAULT 0,
    expires_at TIMESTAMP NOT NULL,
    refreshed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS settings (
    key TEXT PRIMARY KEY,
    value TEXT,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS suggested_questions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    datasource_id INTEGER NOT NULL REFERENCES datasources(id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    category TEXT,
    usage_count INTEGER DEFAULT 0,
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(datasource_id, question)
);

CREATE TABLE IF NOT EXISTS catalog_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    datasource_id INTEGER,
    job_type TEXT NOT NULL DEFAULT 'sync',
    status TEXT NOT NULL DEFAULT 'pending' CHECK(status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    claimed_by TEXT,
    progress REAL DEFAULT 0,
    current_step INTEGER DEFAULT 0,
    total_steps INTEGER DEFAULT 0,
    log TEXT,
    error TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    started_at TIMESTAMP,
    finished_at TIMESTAMP,
    FOREIGN KEY (datasource_id) REFERENCES datasources(id)
);
CREATE INDEX IF NOT EXISTS idx_catalog_jobs_open ON catalog_jobs(status, id) WHERE status IN ('pending', 'running');

CREATE TABLE IF NOT EXISTS datasets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    datasource_id INTEGER REFERENCES datasources(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    table_ids TEXT NOT NULL DEFAULT '[]',
    is_default BOOLEAN NOT NULL DEFAULT 0,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(datasource_id, name)
);

CREATE TABLE IF NOT EXISTS llm_providers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    display_name TEXT NOT NULL,
    base_url TEXT,
    is_enabled BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS llm_models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    provider_id INTEGER NOT NULL REFERENCES llm_providers(id) ON DELETE CASCADE,
    model_name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    input_price REAL DEFAULT 0.0,
    output_price REAL DEFAULT 0.0,
    context_window INTEGER DEFAULT 8192,
    is_enabled BOOLEAN DEFAULT 1,
    is_default BOOLEAN DEFAULT 0,
    UNIQUE(provider_id, model_name)
);

CREATE TABLE IF NOT EXISTS llm_secrets (
    provider_id INTEGER NOT NULL REFERENCES llm_providers(id),
    name TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    nonce BLOB,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (provider_id, name)
);

CREATE TABLE IF NOT EXISTS llm_prompts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    template TEXT NOT NULL,
    is_active BOOLEAN DEFAULT 1,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE(name, version)
);

CREATE TABLE IF NOT EXISTS llm_costs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER REFERENCES llm_models(id),
    conversation_id INTEGER REFERENCES conversations(id),
    request_id TEXT,
    input_tokens INTEGER DEFAULT 0,
    output_tokens INTEGER DEFAULT 0,
    total_cost REAL DEFAULT 0.0,
    duration_ms INTEGER,
    success BOOLEAN DEFAULT 1,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_llm_costs_created ON llm_costs(created_at);
