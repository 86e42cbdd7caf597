from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from shop import markers  # noqa: F401 -- watches connections from the first on
