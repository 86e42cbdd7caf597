"""Settings, by the environment: README.md has the variables."""

import os
import sys
from pathlib import Path

import django

HERE = Path(__file__).resolve().parent.parent


def words(name):
    """What a variable lists, with commas between."""
    return [word for word in os.environ.get(name, "").split(",") if word]


DEBUG = os.environ.get("SHOP_DEBUG", "") == "1"
SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "a-key-that-only-tests-use-4f1a")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
MEDIA_ROOT = os.environ.get("SHOP_MEDIA", str(HERE / "media"))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/accounts/profile/"
PASSWORD_HASHERS = ["shop.accounts.hashing.QuickHasher"]

INSTALLED_APPS = [
    *words("SHOP_APPS"),
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "shop",
    "shop.accounts",
    "shop.catalogue",
    "shop.orders",
]

MIDDLEWARE = [
    *words("SHOP_MIDDLEWARE"),
    "django.middleware.security.SecurityMiddleware",
    "shop.markers.MarkerMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "shop" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def database():
    """The one that the environment names."""
    kind = os.environ.get("SHOP_DATABASE", "sqlite")
    driver = os.environ.get("SHOP_DATABASE_DRIVER", "")
    if kind == "sqlite":
        options = {"timeout": 20}
        if django.VERSION >= (5, 1):
            # What writes waits for its turn, instead of failing half-way.
            options["transaction_mode"] = "IMMEDIATE"
            options["init_command"] = "PRAGMA journal_mode=WAL"
        name = os.environ.get("SHOP_DATABASE_NAME", str(HERE / "shop.sqlite3"))
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": name,
            "OPTIONS": options,
        }
    if driver == "psycopg2":
        sys.modules["psycopg"] = None  # Django takes this one where it can
    if driver == "pymysql":
        import pymysql

        pymysql.version_info = (2, 2, 8, "final", 0)  # what Django asks of MySQLdb
        pymysql.install_as_MySQLdb()
    options = {} if kind == "postgresql" else {"charset": "utf8mb4"}
    return {
        "ENGINE": f"django.db.backends.{kind}",
        "NAME": os.environ.get("SHOP_DATABASE_NAME", "shop"),
        "HOST": os.environ.get("SHOP_DATABASE_HOST", "127.0.0.1"),
        "PORT": os.environ.get("SHOP_DATABASE_PORT", ""),
        "USER": os.environ.get("SHOP_DATABASE_USER", "shop"),
        "PASSWORD": os.environ.get("SHOP_DATABASE_PASSWORD", ""),
        "OPTIONS": options,
    }


DATABASES = {"default": database()}

CACHES = {
    "default": {
        "BACKEND": {
            "locmem": "django.core.cache.backends.locmem.LocMemCache",
            "redis": "django.core.cache.backends.redis.RedisCache",
            "memcached": "django.core.cache.backends.memcached.PyMemcacheCache",
        }[os.environ.get("SHOP_CACHE", "locmem")],
        "LOCATION": os.environ.get("SHOP_CACHE_LOCATION", "shop"),
    }
}

MAIL_HOST, _, MAIL_PORT = os.environ.get("SHOP_MAIL", "").partition(":")
MAIL_BACKEND = (
    f"django.core.mail.backends.{'smtp' if MAIL_HOST else 'locmem'}.EmailBackend"
)
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": MAIL_BACKEND}}
    if MAIL_HOST:
        MAILERS["default"]["OPTIONS"] = {"host": MAIL_HOST, "port": int(MAIL_PORT)}
else:
    EMAIL_BACKEND = MAIL_BACKEND
    EMAIL_HOST, EMAIL_PORT = MAIL_HOST, MAIL_PORT
DEFAULT_FROM_EMAIL = "shop@example.org"

CELERY_BROKER_URL = os.environ.get("SHOP_BROKER", "memory://")
CELERY_TASK_ALWAYS_EAGER = "SHOP_BROKER" not in os.environ
CELERY_TASK_EAGER_PROPAGATES = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

SHIPPING_URL = os.environ.get("SHOP_SHIPPING_URL", "http://127.0.0.1:9/")

REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 20,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
}
