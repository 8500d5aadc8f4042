SELECT value FROM deployment_secrets WHERE name = $1
