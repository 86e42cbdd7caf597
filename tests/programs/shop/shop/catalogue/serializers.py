"""What the API says of products, and what it accepts."""

from rest_framework import serializers

from shop.catalogue.models import Category, Product, Supplier, Tag


class ProductSerializer(serializers.ModelSerializer):
    category = serializers.SlugRelatedField("name", queryset=Category.objects.all())
    supplier = serializers.SlugRelatedField("name", queryset=Supplier.objects.all())
    tags = serializers.SlugRelatedField(
        "name", many=True, queryset=Tag.objects.all(), required=False
    )
    available = serializers.SerializerMethodField()

    class Meta:
        model = Product
        fields = [
            "id",
            "sku",
            "name",
            "category",
            "supplier",
            "tags",
            "price",
            "stock",
            "available",
        ]

    def get_available(self, product):
        return product.is_available()

    def validate_price(self, price):
        if price <= 0:
            raise serializers.ValidationError("A price is more than nothing.")
        return price
