"""OVSDB (RFC 7047): schema, values, operations, transactions, journal, monitors; then a server and a replica."""
