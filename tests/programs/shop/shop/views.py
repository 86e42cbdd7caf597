"""Pages that belong to no part of the shop, and two that fail."""

from django.core.cache import cache
from django.http import Http404, HttpResponse
from django.shortcuts import render

from shop.catalogue.models import Category, Product
from shop.orders.models import Order


def health(request):
    """Whether the process answers at all: no database, no template."""
    return HttpResponse("well", content_type="text/plain")


def figures():
    """Numbers of the front page, which are counted once a minute."""
    return {
        "products": Product.objects.count(),
        "orders": Order.objects.count(),
    }


def home(request):
    """The front page, with numbers from the cache."""
    counted = cache.get_or_set("home:figures", figures, 60)
    categories = Category.objects.order_by("name")
    return render(request, "home.html", {"counted": counted, "categories": categories})


def share_of(part, whole):
    """A part in percent."""
    return round(100 * part / whole)


def sold_share(category):
    """How much of a category is sold: of one that is empty, nobody knows."""
    products = category.products.count()
    sold = category.products.filter(stock=0).count()
    return share_of(sold, products)


def broken(request):
    """Divides by zero, some calls down."""
    empty = Category(pk=0, name="empty")
    return HttpResponse(f"{sold_share(empty)} %")


def missing(request):
    """Is not there."""
    wanted = request.GET.get("wanted", "nothing")
    raise Http404(f"no {wanted} here")
